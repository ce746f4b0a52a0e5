"""The auditor: rebuilds every balance, position and order from events alone, and checks that the rules were kept.

It shares no line with either engine, so that an error would have to be made three times to pass.  Tests, simulation,
replay and a running exchange can all use it, and so can any client that sees all events.

What it checks is listed in `INVARIANTS`, by the name that a `Violation` carries (an invariant's, or the id of the
rule that a single event broke); docs/audit.md has the table with its tests.  Besides, by the ids of the rules
(docs/reference), where the commands are fed, too:

========  ==========================================================================================
MATCH-03  what is due goes before the command acts, in its order, and nothing that was due lives on
MATCH-08  a client order id acts once, and a repeat is answered with the order that it repeats
MATCH-10  whoever waits goes off when what it watches reaches its trigger, in its turn, and not before
MATCH-12  in each state nothing happens but what the table allows; an auction trades at the one price that
          the rule gives, nobody worse than his limit, and leaves no crossed book; a settlement closes all
MATCH-14  lists have a result for each order; exits are armed by what filled, siblings go when they must
MATCH-15  an iceberg trades what it shows, and each slice is as long as it was asked to be
========  ==========================================================================================

`differences` compares the books with what an engine shows (I20).  Equal digests, replays and snapshots (I31) need an
engine and are compared by the fuzzer.

>>> from exchange.engine import create_engine
>>> from exchange.protocol.messages import Deposit
>>> from exchange.protocol.records import encode_command, stamp
>>> engine, auditor = create_engine("reference"), Auditor()
>>> command = stamp(encode_command(Deposit(account=7, amount_atoms=500)), sequence=1, timestamp_ns=0)
>>> auditor.follow(command, engine.apply(command))  # what is newly found wrong
[]
>>> auditor.check()  # all pools and sums, touched or not
>>> auditor.violations
[]
>>> differences(auditor, engine)
[]
"""

from exchange.audit.auditor import Auditor
from exchange.audit.compare import differences
from exchange.audit.context import Violation
from exchange.audit.invariants import INVARIANTS, Invariant

__all__ = ["INVARIANTS", "Auditor", "Invariant", "Violation", "differences"]
