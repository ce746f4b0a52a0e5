"""``exchange top``: a node as it is now, in a terminal, by public streams and questions alone.

``watch`` asks and listens, ``picture`` is what is known and how fast it changes, ``frame`` draws it into as many
columns and lines as there are; the latter two do no I/O.
"""
