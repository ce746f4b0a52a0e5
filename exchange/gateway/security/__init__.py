"""Who may come in, by which door, and for whom: permits, the guard of the sockets, and where they may be bound.

``permit``   what a key may do: pure data, asked for every message
``binding``  which endpoints are reached from this machine alone, and what is refused without encryption
``guard``    a thread of its own that checks keys (ZAP) and counts and cuts connections
``sockets``  the options of the node's sockets, with the reason of each
"""
