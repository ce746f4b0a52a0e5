"""The auditor: rebuilds every balance, position and order from events alone, and checks that the rules were kept.

It shares no line with either engine, so that an error would have to be made three times to pass.  Tests, simulation,
replay and a running exchange can all use it, and so can any client that sees all events.

I1    wallets + margins - entry values + funds + fees = deposits - withdrawals, after every command
I2    the positions of a symbol sum to zero
I3    each balance afterwards is the balance before and what the event explains, to the atom
I4    nobody without a position owes
I5    an isolated position loses at most the margin that it was given
I6    funding, margin and fund payments move the pool of their position and no other
I7    no pool is below maintenance unless flagged; flagged pools have no orders, resting or waiting, and let
      nobody withdraw
I8    no pool is below zero unless nobody was left to deleverage against
I9    a fill worse than bankruptcy is paid by the fund, exactly
I10   reduce-only and closing orders never open, enlarge or flip
I11   a liquidation fee is at most what is left above bankruptcy
I12   no fund is below zero; no liquidation, symbol or window draws more than its cap
I13   the fund that pays is that of the symbol that caused it; a second one only when that may pay no more
I14   deleveraging only below zero, after the book was asked and the fund may pay no more
I15   the parts of a deleveraging add up to the position's bankruptcy value
I16   counterparties come in the order of their scores, none is passed over that could, none ends below zero
I17   funding takes from each position what it owes, and from nobody else
I18   what was refused changed nothing; withdrawals, margin changes and mode switches leave initial margin
I19   whoever is below initial margin does not enlarge a position
I20   the equity, maintenance and sums that events tell are those recomputed from scratch
I27   nobody trades with himself, liquidated or not, nor with an account of his group
I29   what rounding leaves never comes out of a fund
I30   sequences follow each other, and every command has one result, first
I32   no liquidation begins twice
I34   open orders per account and the symbol's exposure stay within their caps; so do positions and open interest,
      with all that rests, when an order is admitted, and no trade raises open interest above its cap
I35   another bracket table holds at once, for every pool, and moves no money but by the liquidations that follow
I38   a pool is warned when a command is over, once for each crossing, of the highest level that it reached
I39   margin is added by itself only where that was asked for, below maintenance, and no more than is missing
====  ==============================================================================================

And by the ids of the rules (docs/reference), where the commands are fed, too:
=======
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
