"""The doors of the exchange: ZeroMQ frames in, replies, events and market data out.

``connection`` is what a frame means and whether it may (no I/O in it), ``replies`` says whose each event is,
``queries`` answers what is asked, ``publisher`` makes market data of events, ``admin`` is the operator's door,
``server`` has the sockets, ``feed`` the shapes of what is published.
"""
