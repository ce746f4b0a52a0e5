"""Who may come in, and by which door: the guard of the sockets, their options, and where they may be bound.

What a key may do once it is in is ``exchange.gateway.permission``.

``binding``  which endpoints are reached from this machine alone, and what is refused without encryption
``guard``    a thread of its own that checks keys (ZAP) and counts and cuts connections
``sockets``  the options of the node's sockets, with the reason of each
"""
