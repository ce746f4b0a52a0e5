"""The invariants by number: what each says, how a violation of it is named, and where it is looked at.

The numbers are those of the exchange's design.  Where a number stands for a rule of docs/reference, violations carry
the id of that rule.  docs/audit.md is this table with the tests beside it.

>>> by_number("I9").statement
'a fill worse than bankruptcy is paid by the fund in the same event, to the atom'
"""

from __future__ import annotations

import msgspec


class Invariant(msgspec.Struct, frozen=True):
    """One line of the table."""

    number: str
    statement: str
    names: tuple[str, ...]  # that a `Violation` of it may carry; none: not from events
    where: str  # the module that looks at it


def _line(number: int, statement: str, where: str, *names: str) -> Invariant:
    return Invariant(f"I{number}", statement, names or (f"I{number}",), where)


def _elsewhere(number: int, statement: str, where: str) -> Invariant:
    return Invariant(f"I{number}", statement, (), where)


INVARIANTS = (
    _line(
        1,
        "wallets + margins - entry values + funds + fees = deposits - withdrawals, at any mark",
        "auditor",
    ),
    _line(2, "the positions of a symbol sum to zero", "auditor"),
    _line(
        3,
        "each change of a balance has one event, and the balance afterwards is the one before and that change",
        "balances, fills",
    ),
    _line(4, "nobody without a position owes", "auditor"),
    _line(
        5,
        "an isolated position loses at most the margin that it was given",
        "fills, liquidations",
    ),
    _line(6, "what moves one pool moves no other", "balances"),
    _line(
        7,
        "no pool is below maintenance unless flagged; a flagged pool has no orders and lets nobody withdraw",
        "auditor, orders",
    ),
    _line(8, "no pool is below zero unless nobody was left to deleverage against", "auditor"),
    _line(
        9,
        "a fill worse than bankruptcy is paid by the fund in the same event, to the atom",
        "liquidations",
    ),
    _line(
        10, "what may only reduce never opens, enlarges or turns a position", "liquidations, orders"
    ),
    _line(11, "a liquidation fee is at most what is left above bankruptcy", "liquidations"),
    _line(
        12,
        "no fund is below zero; no liquidation, symbol or window draws more than its cap",
        "liquidations, funds",
    ),
    _line(
        13,
        "the fund that pays is that of the symbol that caused it; a second one only when that may pay no more",
        "liquidations, funds",
    ),
    _line(
        14,
        "deleveraging only below zero, after the book was asked and the fund may pay no more",
        "liquidations",
    ),
    _line(
        15,
        "the parts of a deleveraging add up to the bankruptcy value: haircuts are the uncovered deficit",
        "liquidations",
    ),
    _line(
        16,
        "counterparties come in the order of their scores, none is passed over that could give, none ends below zero",
        "liquidations",
    ),
    _line(
        17,
        "funding takes from each position what it owes; who has no position loses nothing",
        "balances",
    ),
    _line(
        18,
        "what was refused changed nothing; money leaves, margin moves and modes switch only above initial margin",
        "auditor, balances",
    ),
    _line(19, "who is below initial margin does not enlarge a position", "fills"),
    _line(20, "what events tell as sums are the sums, added up from scratch", "auditor, compare"),
    _line(
        21,
        "a policy's requirement rises with size, joins at the edges of brackets, and asks less to hold than to open",
        "brackets",
    ),
    _line(
        22,
        "trading fees never run out: a rebate is at most what the taker of the trade paid",
        "fills, auditor",
    ),
    _line(23, "liquidations and deleveraging never move a mark", "auditor", "LIQ-09"),
    _line(
        24,
        "best price first, then who came first; nobody trades beyond his limit",
        "orders, fills",
        "MATCH-01",
    ),
    _line(25, "nothing happens in a symbol that its state forbids", "auctions, fills", "MATCH-12"),
    _line(26, "what is due by time goes before the command acts, all of it", "expiry", "MATCH-03"),
    _line(
        27,
        "nobody trades with himself, liquidated or not, nor with an account of his group",
        "fills",
    ),
    _line(28, "a client order id acts once", "auditor, lists", "MATCH-08"),
    _line(29, "what rounding leaves never comes out of a fund", "balances"),
    _line(
        30,
        "sequences follow each other, time does not go back, and every command has one result, first",
        "auditor",
        "I30",
        "MATCH-01",
    ),
    _elsewhere(
        31,
        "the same commands give the same events and digests; a snapshot and what follows is a full replay",
        "exchange.fuzz.differ",
    ),
    _line(32, "no liquidation begins twice: the queue ends", "liquidations"),
    _line(33, "while a deficit is uncovered, nobody withdraws", "balances", "ADL-03"),
    _line(
        34, "open orders per account and the exposure of a symbol stay within their caps", "auditor"
    ),
    _line(
        35,
        "another bracket table holds at once, for every pool, and moves no money but by liquidations",
        "policies",
    ),
    _line(
        36,
        "size, limit and bankruptcy value of a closing order are what their rules give",
        "liquidations, decisions",
        "LIQ-05",
        "LIQ-06",
        "LIQ-10",
    ),
    _elsewhere(
        37,
        "every order goes from state to state as the table of its life says",
        "exchange.protocol.life",
    ),
    _line(
        38,
        "a pool is warned when a command is over, once for each crossing, of the highest level reached",
        "warnings",
        "MARGIN-10",
    ),
    _line(
        39,
        "margin is added by itself only where that was asked for, below maintenance, and no more than is missing",
        "balances",
        "ACCT-09",
    ),
)


def by_number(number: str) -> Invariant:
    """The line of an invariant.

    Raises:
        KeyError: there is none of this number.
    """
    for invariant in INVARIANTS:
        if invariant.number == number:
            return invariant
    raise KeyError(f"invariants are I1 to I{len(INVARIANTS)}; this is {number}")
