"""``exchange margin``: what a position needs, and where it ends - the calculator over the exchange's own rules.

::

    exchange margin --side long --size 0.5 --entry 60000 --leverage 20 --wallet 2000
    exchange margin situation.toml --order "BTC-PERP buy 0.1 59000"
    exchange margin --connect tcp://127.0.0.1:5555 --account 7 --mark BTC-PERP=55000

``situation`` reads flags and files, ``venue`` makes an engine of it, ``asking`` asks a running node instead, ``show``
makes the table and the JSON.  Margins and prices come from the engine alone.
"""

from exchange.calculator.command_line import main

__all__ = ["main"]
