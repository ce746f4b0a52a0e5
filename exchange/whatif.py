"""What if: steps of one account, tried where they cost nothing (docs/what-if.md).

Theory of operation.  An engine makes a *pocket venue* for an account: a small engine of its own kind in which the
account is whole and everybody else is good for what they offer (`Engine.pocket`).  The steps are applied there as
ordinary commands; their results, and the ordinary views of that engine, are the answer.  So there is no second formula
that could differ from the engine's checks, and the real engine is only read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

import msgspec

from exchange.protocol import messages as m
from exchange.protocol.messages import Command, Event
from exchange.protocol.preview import (
    MAX_STEPS,
    Assumption,
    EntryVerdict,
    PoolView,
    PreviewView,
    Standing,
    StepView,
    margin_ratio_ppm,
)
from exchange.protocol.records import decode_events, encode_command, stamp
from exchange.protocol.schema import MESSAGE_BY_NUMBER, REJECT_PROSE, FillRole, RejectReason
from exchange.protocol.views import AccountView, PositionView

ANY_SYMBOL = 0
#: Lots of these fills are the account's own doing, or its liquidation's, at the cost of somebody's resting order.
TAKING = (FillRole.TAKER, FillRole.LIQUIDATED)


class Venue(Protocol):
    """What a preview needs of an engine."""

    @property
    def sequence(self) -> int: ...
    @property
    def timestamp_ns(self) -> int: ...
    def apply(self, commands: bytes) -> bytes: ...
    def account(self, account: int) -> AccountView: ...
    def positions(self, account: int) -> list[PositionView]: ...
    def pocket(
        self, account: int, lots: dict[int, int], *, liquidity: bool = True
    ) -> tuple[Self, list[tuple[int, int]]]: ...


def preview(
    engine: Venue, account: int, steps: Sequence[Command], timestamp_ns: int = 0
) -> PreviewView:
    """Where the account would stand after these steps, taken one after the other, and what each would come to.

    A step is any command of a trader, or ``SetMark``: what if the mark were there.  A step that would be refused
    changes nothing, as ever; those after it are tried all the same.  They come at ``timestamp_ns``, or at the time of
    the last command if that is later, and what is due by then expires.

    >>> from exchange.engine import create_engine
    >>> preview(create_engine(), 7, [m.Deposit(amount_atoms=500)]).after.account.wallet_atoms
    500

    Raises:
        ValueError: a step that cannot be tried, one of another account, or more than 64 of them.
    """
    steps = [own_step(step, account) for step in checked(steps)]
    lots = lots_of(steps)
    pocket, cut = engine.pocket(account, lots)
    # Of the pocket venue, too, where it is the same: the real one would rank every holder of a symbol for it (ADL-04).
    before = unranked(standing(pocket, account))
    told = [apply(pocket, step, timestamp_ns) for step in steps]
    views = [step_view(step, account, events) for step, events in zip(steps, told, strict=True)]
    assumes = assumptions(steps, account, told, {symbol for symbol, _ in cut})
    is_traded = Assumption.MAKERS in assumes and not any(view.liquidated_pools for view in views)
    return PreviewView(
        account=account,
        sequence=engine.sequence,
        timestamp_ns=engine.timestamp_ns,
        steps=views,
        before=before,
        open=untraded(engine, account, steps, views, timestamp_ns) if is_traded else None,
        after=unranked(standing(pocket, account)),
        fees_atoms=sum(view.fees_atoms for view in views),
        assumes=assumes,
    )


# ------------------------------------------------------------------------------------------------- the steps


def checked(steps: Sequence[Command]) -> Sequence[Command]:
    """The steps, if they may be tried."""
    if len(steps) > MAX_STEPS:
        raise ValueError(f"a preview has at most {MAX_STEPS} steps, this one {len(steps)}")
    for step in steps:
        message = MESSAGE_BY_NUMBER[step.number]
        if message.sender != "trader" and not isinstance(step, m.SetMark):
            raise ValueError(
                f"{message.name} cannot be tried: steps are a trader's commands, and set_mark"
            )
    return steps


def own_step(step: Command, account: int) -> Command:
    """The step as the account would send it."""
    if isinstance(step, m.SetMark) or step.account == account:
        return step
    if step.account:
        raise ValueError(f"a step is of account {step.account}, the preview of account {account}")
    return msgspec.structs.replace(step, account=account)


def lots_of(steps: Sequence[Command]) -> dict[int, int]:
    """Symbol -> lots that the steps might trade there; ``ANY_SYMBOL``: on whichever symbol it is."""
    lots: dict[int, int] = {ANY_SYMBOL: 0}
    for step in steps:
        entries = step.orders if isinstance(step, m.PlaceOrders) else (step,)
        for entry in entries:
            symbol = getattr(entry, "symbol", ANY_SYMBOL)
            lots[symbol] = lots.get(symbol, 0) + max(0, getattr(entry, "qty_lots", 0))
    return lots


def apply(pocket: Venue, step: Command, timestamp_ns: int) -> list[Event]:
    """The events of a step; a mark that is composite (MARK-02) is first put into the hand of who asks."""
    events = send(pocket, step, timestamp_ns)
    refused = getattr(events[0], "reason", 0)
    if isinstance(step, m.SetMark) and refused == RejectReason.MARK_IS_COMPOSITE:
        send(pocket, m.SetMarkPolicy(symbol=step.symbol, enabled=0), timestamp_ns)
        return send(pocket, step, timestamp_ns)
    return events


def send(pocket: Venue, command: Command, timestamp_ns: int) -> list[Event]:
    record = stamp(encode_command(command), pocket.sequence + 1, timestamp_ns)
    return decode_events(pocket.apply(record))


def untraded(
    engine: Venue,
    account: int,
    steps: Sequence[Command],
    views: Sequence[StepView],
    timestamp_ns: int,
) -> Standing:
    """Where the account would stand if nobody traded with its orders."""
    pocket, _ = engine.pocket(account, lots_of(steps), liquidity=False)
    for step, view in zip(steps, views, strict=True):
        if view.accepted:
            apply(pocket, step, timestamp_ns)
    return unranked(standing(pocket, account))


# ------------------------------------------------------------------------------------------------ the answer


def standing(venue: Venue, account: int) -> Standing:
    """The views of a query, and the pools side by side."""
    view, positions = venue.account(account), venue.positions(account)
    pools = [cross_pool(view)]
    pools += [isolated_pool(p) for p in positions if p.margin_mode and p.position_lots]
    return Standing(account=view, pools=pools, positions=positions)


def unranked(there: Standing) -> Standing:
    """Without places in the queue of deleveraging (ADL-04): in a pocket venue hardly anybody stands in it."""
    positions = [
        msgspec.structs.replace(view, adl_fifth=0, adl_place=0, adl_candidates=0)
        for view in there.positions
    ]
    return msgspec.structs.replace(there, positions=positions)


def cross_pool(view: AccountView) -> PoolView:
    return PoolView(
        symbol=0,
        balance_atoms=view.wallet_atoms,
        equity_atoms=view.equity_atoms,
        initial_margin_atoms=view.initial_margin_atoms,
        maintenance_atoms=view.maintenance_atoms,
        available_atoms=view.available_atoms,
        withdrawable_atoms=view.withdrawable_atoms,
        margin_ratio_ppm=margin_ratio_ppm(view.equity_atoms, view.maintenance_atoms),
        liquidating=view.liquidating,
    )


def isolated_pool(view: PositionView) -> PoolView:
    return PoolView(
        symbol=view.symbol,
        leg=view.leg,
        balance_atoms=view.margin_atoms,
        equity_atoms=view.equity_atoms,
        initial_margin_atoms=view.initial_margin_atoms,
        maintenance_atoms=view.maintenance_atoms,
        available_atoms=view.removable_atoms,
        withdrawable_atoms=view.removable_atoms,
        margin_ratio_ppm=margin_ratio_ppm(view.equity_atoms, view.maintenance_atoms),
        liquidating=view.liquidating,
    )


def step_view(step: Command, account: int, events: Sequence[Event]) -> StepView:
    """What one step came to, by its events."""
    first = events[0]
    if isinstance(first, m.Rejected):
        reason = RejectReason(first.reason)
        return StepView(
            command=step.number, accepted=False, reason=reason, message=REJECT_PROSE[reason]
        )
    assert isinstance(first, m.Accepted), first
    own = [event for event in events if event.account == account]
    fills = [event for event in own if isinstance(event, m.Fill)]
    left, cancel_reason = what_is_left(first.order_id, own)
    return StepView(
        command=step.number,
        accepted=True,
        order_id=first.order_id,
        entries=[verdict for event in own if (verdict := entry_verdict(event)) is not None],
        filled_lots=sum(fill.qty_lots for fill in fills),
        filled_value_atoms=sum(fill.value_atoms for fill in fills),
        fees_atoms=sum(fill.fee_atoms for fill in fills),
        realised_atoms=sum(fill.realised_atoms for fill in fills),
        left_lots=left,
        cancel_reason=cancel_reason,
        liquidated_pools=[e.symbol for e in own if isinstance(e, m.LiquidationStarted)],
    )


def entry_verdict(event: Event) -> EntryVerdict | None:
    """The verdict on an order of a list."""
    if isinstance(event, m.EntryAccepted):
        return EntryVerdict(event.index, event.order_id, 0, "")
    if isinstance(event, m.EntryRejected):
        reason = RejectReason(event.reason)
        return EntryVerdict(event.index, 0, reason, REJECT_PROSE[reason])
    return None


def what_is_left(order_id: int, events: Sequence[Event]) -> tuple[int, int]:
    """(lots of the order that rest or wait, why the others do not)."""
    left = reason = 0
    for event in events:
        match event:
            case m.OrderRested(order_id=found) | m.OrderWaiting(order_id=found):
                left = event.open_lots if found == order_id else left
            case m.OrderAmended(order_id=found, kept_priority=1):
                left = event.open_lots if found == order_id else left
            case m.OrderCancelled(order_id=found) if found == order_id:
                left, reason = 0, event.reason
    return left, reason


def assumptions(
    steps: Sequence[Command], account: int, told: Sequence[Sequence[Event]], cut: set[int]
) -> list[Assumption]:
    """What the answer rests on."""
    events = [event for batch in told for event in batch if event.account == account]
    found = []
    if any(isinstance(event, m.Fill) and event.role in TAKING for event in events):
        found.append(Assumption.MAKERS)
    marks = [isinstance(step, m.SetMark) for step in steps]
    if any(
        moved and isinstance(batch[0], m.Accepted) for moved, batch in zip(marks, told, strict=True)
    ):
        found.append(Assumption.MARKS)
    if cut:
        found.append(Assumption.DEPTH)
    if any(isinstance(e, m.Fill) and e.role == FillRole.DELEVERAGED for e in events):
        found.append(Assumption.DEFICIT)
    return found
