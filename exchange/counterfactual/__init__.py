"""What would have happened under another policy: a journal's commands in two worlds, side by side.

``keys`` is the table of what may be changed; ``survey`` reads what a journal lists; ``policy`` reads the file;
``rewrite`` and ``counterparts`` make the commands of the changed world; ``run`` runs both; ``tally`` and ``compare``
count; ``outcome`` is the result, ``show`` and ``picture`` tell it.
"""
