"""The specification that runs: every rule of the exchange once more, written to be read and not to be fast.

Theory of operation.  The native engine keeps what it needs at hand: totals, counters, best prices.  This one
keeps only what cannot be computed - policies, marks, balances, positions, orders - and works out
everything else when it is asked, by walking sorted containers with Python's unbounded integers.  Each rule of
``docs/reference`` is a function that carries the rule's id in its docstring.  Both engines must write
the same event bytes after every command; where they differ, one of them is wrong.

Reading order: ``arithmetic`` (where a rounding goes), ``order`` and ``state`` (what is kept), ``margin`` (pure
rules), ``prices`` and ``watching`` (which prices meet, and which trigger), ``ledger`` (what a fill does to money),
``matching`` (the loop) with ``resting``, ``self_trade``, ``fill_or_kill``, ``cancelling`` and ``links`` beside it,
``auction``, ``liquidation`` (queue, fund, deleveraging), ``admission`` (what is refused, and why), ``placing``,
``lists`` and ``amending`` (the commands of orders), ``times`` and ``triggers`` (what happens by itself), ``states``
(what may be done when, settlement), ``engine`` (one command after the other), ``canonical`` (snapshot and digest),
``views`` (what a query answers).
"""
