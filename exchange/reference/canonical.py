"""The canonical state: one sequence of bytes for one state, out (snapshot) and in (restore).

The layout is that of ``docs/reference/state.md``, parts packed little-endian.  Default accounts and
settings are left out, so that two engines that know the same agree, whatever they have been asked before.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from exchange.protocol.schema import (
    COMMAND_BY_NAME,
    COMMAND_HEADER,
    MAX_ACCOUNT,
    MAX_BRACKETS,
    WINDOW_PARTS,
    Leg,
    PositionMode,
)
from exchange.reference.assets import Asset, Holding
from exchange.reference.drawing import Drawing, FundPolicy
from exchange.reference.listing import Policy, bracket_numbers, make_brackets
from exchange.reference.order import LinkRole, Order
from exchange.reference.quotes import FundingPolicy, MarkPolicy, Price
from exchange.reference.state import (
    NO_LIMITS,
    Account,
    Limits,
    Pool,
    Position,
    Remembered,
    State,
    Symbol,
)
from exchange.reference.warnings import levels_due

MAGIC = b"PXS3"
HEAD = struct.Struct("<4sQQqq")
COUNT = struct.Struct("<I")
SYMBOL = struct.Struct("<qqB")
FUND = struct.Struct("<Iq")
ACCOUNT = struct.Struct("<IqqBIq")
POSITION = struct.Struct("<IIBqqqqIBB")
ORDER = struct.Struct("<IBBBBBIQIqqqQqqqQBBBqqIqq")
REMEMBERED = struct.Struct("<IQQIBBBqqq")
LIMITS = struct.Struct("<Iqqqq")
PRICING = struct.Struct("<IBBBqqqqq")
PRICE = struct.Struct("<qq")
FUNDING = struct.Struct("<IqqqqqqqqqI")
BRACKETS = struct.Struct("<IIB" + "qII" * MAX_BRACKETS)
LEG = struct.Struct("<IIB")
ADL_POLICY = struct.Struct("<IB")
ASSET = struct.Struct("<I16sqIq")
COLLATERAL = struct.Struct("<IIq")
CHARGED = struct.Struct("<IIq")
DRAWING = struct.Struct("<IqIqqqqqq" + "q" * (WINDOW_PARTS + 1))
LISTING_BYTES = COMMAND_BY_NAME["list_symbol"].size - struct.calcsize(
    "<" + COMMAND_HEADER.body_format
)

LIQUIDATING = 1
UNCOVERED = 2


# ------------------------------------------------------------------------------------------------ snapshot


def snapshot(state: State) -> bytes:
    """The canonical state (docs/reference/state.md)."""
    parts = [
        HEAD.pack(
            MAGIC, state.next_order_id, state.next_trade_id, state.fees_atoms, state.deposits_atoms
        )
    ]
    resting = [pack_order(o, False) for symbol in state.symbols.values() for o in symbol.book]
    waiting = [pack_order(order, True) for order in state.waiting.values()]
    accounts = state.accounts.values()
    for records in (
        [pack_symbol(symbol) for symbol in state.symbols.values()],
        [FUND.pack(fund, balance) for fund, balance in sorted(state.funds.items()) if balance],
        [pack_account(state, account) for account in accounts if is_noted(state, account)],
        [pack_position(p) for p in positions(state) if not p.is_default],
    ):
        parts += [COUNT.pack(len(records)), *records]
    parts += [COUNT.pack(len(resting)), COUNT.pack(len(waiting)), *resting, *waiting]
    remembered = [REMEMBERED.pack(a.number, *order) for a in accounts for order in a.remembered]
    parts += [COUNT.pack(len(remembered)), *remembered]
    changed = [pack_brackets(s) for s in state.symbols.values() if not has_listed_brackets(s)]
    parts += [COUNT.pack(len(changed)), *changed]
    limited = [s for s in state.symbols.values() if s.limits != NO_LIMITS]
    parts += [COUNT.pack(len(limited)), *(LIMITS.pack(s.number, *s.limits) for s in limited)]
    parts += pack_deficits(state)
    pricing = [pack_pricing(s, s.composite) for s in state.symbols.values() if s.composite]
    parts += [COUNT.pack(len(pricing)), *pricing]
    hedged = [COUNT.pack(a.number) for a in accounts if a.position_mode]
    parts += [COUNT.pack(len(hedged)), *hedged]
    parts += pack_collateral(state)
    drawing = [pack_drawing(s.number, s.drawing) for s in state.symbols.values() if s.drawing]
    parts += [COUNT.pack(len(drawing)), *drawing]
    charged = [CHARGED.pack(a.number, *charge) for a in accounts for charge in a.charged.items()]
    parts += [COUNT.pack(len(charged)), *charged]
    funded = [pack_funding(s.number, s.funding) for s in state.symbols.values() if s.funding]
    parts += [COUNT.pack(len(funded)), *funded]
    levels = state.warning_levels_ppm
    parts += [COUNT.pack(len(levels)), *map(COUNT.pack, levels)]
    adding = [
        LEG.pack(p.owner.number, p.symbol.number, p.leg) for p in positions(state) if p.auto_margin
    ]
    parts += [COUNT.pack(len(adding)), *adding]
    return b"".join(parts)


def pack_deficits(state: State) -> list[bytes]:
    """Part 9: who bears what nobody paid for, where it is not the default."""
    policies = [
        ADL_POLICY.pack(symbol.number, symbol.adl_policy)
        for symbol in state.symbols.values()
        if symbol.adl_policy
    ]
    return [COUNT.pack(len(policies)), *policies]


def pack_collateral(state: State) -> list[bytes]:
    """Part 12: the assets, who counts on them, and who holds what."""
    assets = [
        ASSET.pack(a.number, a.name, a.unit_parts, a.haircut_ppm, a.price_atoms)
        for a in state.assets.values()
    ]
    accounts = state.accounts.values()
    counting = [COUNT.pack(account.number) for account in accounts if account.multi_asset]
    held = [
        COLLATERAL.pack(account.number, number, holding.parts)
        for account in accounts
        for number, holding in account.holdings.items()
    ]
    return [
        part
        for records in (assets, counting, held)
        for part in (COUNT.pack(len(records)), *records)
    ]


def is_noted(state: State, account: Account) -> bool:
    pool = account.cross
    return bool(
        pool.balance_atoms
        or pool.drawn_atoms
        or pool.flags
        or account.stp_group
        or account.number in state.countdowns
    )


def pack_symbol(symbol: Symbol) -> bytes:
    return symbol.listing + SYMBOL.pack(symbol.mark_ticks, symbol.last_ticks, symbol.state)


def positions(state: State) -> Iterator[Position]:
    """Every account on every symbol it has met, by account, then symbol, then leg."""
    for account in state.accounts.values():
        yield from account.positions.values()


def pack_account(state: State, account: Account) -> bytes:
    pool = account.cross
    return ACCOUNT.pack(
        account.number,
        pool.balance_atoms,
        pool.drawn_atoms,
        pool.flags,
        account.stp_group,
        state.countdowns.get(account.number, 0),
    )


def pack_position(position: Position) -> bytes:
    pool = position.isolated
    return POSITION.pack(
        position.owner.number,
        position.symbol.number,
        position.leg,
        position.lots,
        position.entry_value_atoms,
        pool.balance_atoms,
        pool.drawn_atoms,
        position.own_rate_ppm,
        position.mode,
        pool.flags,
    )


def pack_order(order: Order, is_waiting: bool) -> bytes:
    return ORDER.pack(
        order.symbol,
        order.leg,
        order.side,
        order.order_type,
        order.time_in_force,
        order.self_trade,
        order.flags,
        order.order_id,
        order.account,
        order.price_ticks,
        order.open_lots,
        order.filled_lots,
        order.client_order_id,
        order.display_lots,
        0 if is_waiting else order.shown_lots,
        order.expires_ns,
        order.link_group,
        order.link_role,
        is_waiting and order.armed,
        order.trigger_by,
        order.trigger_ticks,
        order.callback_ticks,
        order.callback_ppm,
        order.best_ticks,
        order.given_lots,
    )


def has_listed_brackets(symbol: Symbol) -> bool:
    """Whether the brackets and the default rate in force are those of the listing."""
    listed = Policy(symbol.listing).symbol()
    return (symbol.brackets, symbol.initial_margin_ppm) == (
        listed.brackets,
        listed.initial_margin_ppm,
    )


def pack_brackets(symbol: Symbol) -> bytes:
    return BRACKETS.pack(
        symbol.number,
        symbol.initial_margin_ppm,
        len(symbol.brackets),
        *bracket_numbers(symbol.brackets),
    )


def pack_pricing(symbol: Symbol, policy: MarkPolicy) -> bytes:
    """MARK-02: how the mark comes about, and the prices that came last."""
    head = PRICING.pack(
        symbol.number,
        True,
        policy.max_feeds,
        symbol.is_held,
        policy.max_age_ns,
        policy.ema_ns,
        policy.basis_q20,
        policy.basis_at_ns,
        symbol.market_last_ticks,
    )
    return head + b"".join(PRICE.pack(*price) for price in policy.prices)


def pack_drawing(number: int, drawing: Drawing) -> bytes:
    """FUND-01: how much funds may pay, what they have paid, and the parts of the window, the last one first."""
    last = drawing.last_part
    parts = (drawing.parts.get(last - back, 0) for back in range(WINDOW_PARTS + 1))
    return DRAWING.pack(
        number, *drawing.policy, drawing.own_atoms, drawing.second_atoms, last, *parts
    )


def pack_funding(symbol: int, funding: FundingPolicy) -> bytes:
    """FUNDING-02: how the rate comes about, and what the interval has brought."""
    return FUNDING.pack(
        symbol,
        funding.interval_ns,
        funding.sample_ns,
        funding.interest_ppb,
        funding.clamp_ppb,
        funding.max_rate_ppb,
        funding.impact_notional_atoms,
        funding.next_sample_ns,
        funding.next_funding_ns,
        funding.premium_sum_ppb,
        funding.samples,
    )


# ------------------------------------------------------------------------------------------------- restore


class Reader:
    """Reads packed records one after the other and says where the bytes end too early."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    def take(self, size: int) -> bytes:
        if self.offset + size > len(self.data):
            raise ValueError(
                f"a canonical state of more than {len(self.data)} bytes was wanted: "
                f"{size} bytes are missing at {self.offset}; the snapshot is cut short"
            )
        self.offset += size
        return self.data[self.offset - size : self.offset]

    def unpack(self, record: struct.Struct) -> tuple[int, ...]:
        return record.unpack(self.take(record.size))

    def repeat(self) -> range:
        """As many turns as the count that comes next."""
        return range(self.unpack(COUNT)[0])


def restore(data: bytes) -> State:
    """The state that ``snapshot`` wrote: same bytes, and the same behaviour from there on."""
    reader, state = Reader(data), State()
    magic, *head = HEAD.unpack(reader.take(HEAD.size))
    if magic != MAGIC:
        raise ValueError(f"a canonical state starts with {MAGIC!r}, this one with {magic!r}")
    state.next_order_id, state.next_trade_id, state.fees_atoms, state.deposits_atoms = head
    for _ in reader.repeat():
        symbol = Policy(reader.take(LISTING_BYTES)).symbol()
        symbol.mark_ticks, symbol.last_ticks, symbol.state = reader.unpack(SYMBOL)
        state.symbols[symbol.number] = symbol
    for _ in reader.repeat():
        fund, balance = reader.unpack(FUND)
        state.funds[fund] = balance
    for _ in reader.repeat():
        restore_account(state, reader.unpack(ACCOUNT))
    for _ in reader.repeat():
        restore_position(state, reader.unpack(POSITION))
    restore_orders(state, reader)
    for _ in reader.repeat():
        account, *known = reader.unpack(REMEMBERED)
        state.account(account).remembered.append(Remembered(*known))
    for _ in reader.repeat():
        restore_brackets(state, reader.unpack(BRACKETS))
    for _ in reader.repeat():
        number, *limits = reader.unpack(LIMITS)
        if number not in state.symbols:
            raise ValueError(f"symbol {number} is capped and not listed")
        state.symbols[number].limits = Limits(*limits)
    restore_deficits(state, reader)
    for _ in reader.repeat():
        restore_pricing(state, reader)
    for _ in reader.repeat():
        state.account(reader.unpack(COUNT)[0]).position_mode = PositionMode.HEDGE
    restore_collateral(state, reader)
    for _ in reader.repeat():
        restore_drawing(state, reader.unpack(DRAWING))
    for _ in reader.repeat():
        account, number, atoms = reader.unpack(CHARGED)
        state.account(account).charged[number] = atoms
    for _ in reader.repeat():
        number, *numbers = reader.unpack(FUNDING)
        if number not in state.symbols:
            raise ValueError(f"symbol {number} has a funding policy and is not listed")
        state.symbols[number].funding = FundingPolicy(*numbers)
    restore_warnings(state, reader)
    for _ in reader.repeat():
        account, number, leg = reader.unpack(LEG)
        if number not in state.symbols:
            raise ValueError(f"margin is added on symbol {number}, which is not listed")
        state.position(account, number, leg).auto_margin = True
    if reader.offset != len(data):
        raise ValueError(
            f"a canonical state of {reader.offset} bytes was wanted, {len(data)} came: "
            "the snapshot is not of this exchange, or damaged"
        )
    return state


def restore_collateral(state: State, reader: Reader) -> None:
    for _ in reader.repeat():
        number, name, unit_parts, haircut_ppm, price_atoms = ASSET.unpack(reader.take(ASSET.size))
        state.assets[number] = Asset(number, name, unit_parts, haircut_ppm, price_atoms)
    for _ in reader.repeat():
        state.account(reader.unpack(COUNT)[0]).multi_asset = True
    for _ in reader.repeat():
        account, number, parts = reader.unpack(COLLATERAL)
        asset = state.assets[number]
        asset.held_parts += parts
        state.account(account).holdings[number] = Holding(asset, parts)


def restore_warnings(state: State, reader: Reader) -> None:
    """MARGIN-10: what each pool was told of follows from the rest."""
    state.warning_levels_ppm = tuple(reader.unpack(COUNT)[0] for _ in reader.repeat())
    for pool in state.pools():
        pool.warned = levels_due(state, pool)


def restore_pricing(state: State, reader: Reader) -> None:
    number, _, feeds, held, age, ema, basis, basis_at, last = reader.unpack(PRICING)
    symbol = state.symbols[number]
    symbol.is_held, symbol.market_last_ticks = bool(held), last
    symbol.composite = MarkPolicy(
        max_feeds=feeds, max_age_ns=age, ema_ns=ema, basis_q20=basis, basis_at_ns=basis_at
    )
    symbol.composite.prices = [Price(*reader.unpack(PRICE)) for _ in symbol.composite.prices]


def restore_account(state: State, values: tuple[int, ...]) -> None:
    number, wallet, drawn, flags, group, countdown = values
    account = state.account(number)
    restore_pool(account.cross, wallet, drawn, flags)
    account.stp_group = group
    if countdown:
        state.countdowns[number] = countdown


def restore_pool(pool: Pool, balance: int, drawn: int, flags: int) -> None:
    pool.balance_atoms, pool.drawn_atoms = balance, drawn
    pool.liquidating, pool.uncovered = bool(flags & LIQUIDATING), bool(flags & UNCOVERED)


def restore_position(state: State, values: tuple[int, ...]) -> None:
    account, symbol, leg, lots, entry_value, margin, drawn, own_rate, mode, flags = values
    if symbol not in state.symbols or not 1 <= account <= MAX_ACCOUNT or leg > max(Leg):
        raise ValueError(f"account {account} on symbol {symbol}, leg {leg}: there is no such place")
    position = state.position(account, symbol, leg)
    state.move_position(position, lots, entry_value)
    position.own_rate_ppm, position.mode = own_rate, mode
    restore_pool(position.isolated, margin, drawn, flags)


def restore_orders(state: State, reader: Reader) -> None:
    """In each level the orders come in the order of their queue, so resting them in turn restores it."""
    resting, waiting = reader.repeat(), reader.repeat()
    for _ in resting:
        order = unpack_order(reader.unpack(ORDER))
        shown = order.shown_lots
        state.rest(order)
        order.shown_lots = shown  # of a slice some may be gone
    for _ in waiting:
        state.wait(unpack_order(reader.unpack(ORDER)))


def restore_brackets(state: State, values: tuple[int, ...]) -> None:
    number, rate, count, *rows = values
    entries = list(zip(rows[0::3], rows[1::3], rows[2::3], strict=True))
    brackets = make_brackets(entries[:count])
    if number not in state.symbols or not brackets:
        raise ValueError(f"symbol {number} cannot have the brackets {entries[:count]}")
    state.symbols[number].brackets = brackets
    state.symbols[number].initial_margin_ppm = rate


def restore_deficits(state: State, reader: Reader) -> None:
    for _ in reader.repeat():
        number, policy = reader.unpack(ADL_POLICY)
        state.symbols[number].adl_policy = policy


def restore_drawing(state: State, values: tuple[int, ...]) -> None:
    number, cap, second, second_cap, window, window_cap, own_paid, second_paid, last, *parts = (
        values
    )
    policy = FundPolicy(cap, second, second_cap, window, window_cap)
    drawing = Drawing(policy, own_paid, second_paid, last)
    drawing.parts = {last - back: paid for back, paid in enumerate(parts) if paid}
    state.symbols[number].drawing = drawing


def unpack_order(values: tuple[int, ...]) -> Order:
    symbol, leg, side, order_type, time_in_force, self_trade, flags, order_id, *rest = values
    account, *rest = rest
    price, open_lots, filled, client, display, shown, expires, group, role, armed, *trigger = rest
    trigger_by, trigger_ticks, callback_ticks, callback_ppm, best, given = trigger
    return Order(
        account=account,
        symbol=symbol,
        leg=leg,
        side=side,
        price_ticks=price,
        open_lots=open_lots,
        order_id=order_id,
        client_order_id=client,
        order_type=order_type,
        time_in_force=time_in_force,
        self_trade=self_trade,
        flags=flags,
        filled_lots=filled,
        display_lots=display,
        shown_lots=shown,
        expires_ns=expires,
        trigger_by=trigger_by,
        trigger_ticks=trigger_ticks,
        callback_ticks=callback_ticks,
        callback_ppm=callback_ppm,
        best_ticks=best,
        armed=bool(armed),
        link_group=group,
        link_role=LinkRole(role),
        given_lots=given,
    )
