"""The fuzzer: streams that try to break the exchange, run by both engines side by side under the auditor's eyes.

::

    python -m exchange.fuzz --seed 7 --commands 100000
    python -m exchange.fuzz --seed 7 --commands 100000 --engines native     # the auditor alone judges
    python -m exchange.fuzz --seed 7 --commands 100000 --collusion          # accounts that conspire

A stream is made of worlds of ``--world`` commands each, every one with symbols, accounts and a seed of its own.  What
fails is shrunk and written as a scenario file; the seed of its world repeats it.
"""

from exchange.fuzz.command import main

__all__ = ["main"]
