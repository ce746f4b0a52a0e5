"""Looking at a node that runs: what it counts, its log, metrics and health over HTTP, draining, ``exchange top``.

Nothing here decides anything about an order.  What needs a package of the extra ``ops`` is imported where it is used,
so that a node starts without: its log is then plain lines, and metrics are refused with a message.
"""
