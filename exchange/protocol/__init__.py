"""Bytes to meaning and back: the message table and everything that is made from it.  No I/O in here.

Start with ``schema`` (the table); ``messages`` has the typed objects, ``records`` their packed form in the
journal and the engine, ``wire`` their msgpack form between client and node.
"""
