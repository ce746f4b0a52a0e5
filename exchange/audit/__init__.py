"""The auditor: rebuilds every balance, position and order from events alone, and checks that the rules were kept.

It shares no line with either engine, so that an error would have to be made three times to pass.  Tests, simulation,
replay and a running exchange can all use it, and so can any client that sees all events.

>>> from exchange.engine import create_engine
>>> from exchange.protocol.messages import Deposit
>>> from exchange.protocol.records import encode_command, stamp
>>> engine, auditor = create_engine("reference"), Auditor()
>>> command = stamp(encode_command(Deposit(account=7, amount_atoms=500)), sequence=1, timestamp_ns=0)
>>> auditor.feed_commands(command)
>>> auditor.feed(engine.apply(command))
>>> auditor.check()
>>> auditor.violations
[]
>>> differences(auditor, engine)
[]
"""

from exchange.audit.auditor import Auditor
from exchange.audit.compare import differences
from exchange.audit.context import Violation

__all__ = ["Auditor", "Violation", "differences"]
