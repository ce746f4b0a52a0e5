"""Writes a stream of commands as a scenario file, ready to commit.

Commands become the steps that a person would write, in human units; what the scenario language cannot say becomes a
``raw`` step.  Names carry the numbers (``a7`` is account 7), because ties are broken by number.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from decimal import Decimal

from exchange.errors import ExchangeError
from exchange.fuzz.choices import STEP_NS
from exchange.protocol.messages import (
    AdvanceTime,
    AmendOrder,
    Bracket,
    CancelAll,
    CancelOrder,
    ChangeIsolatedMargin,
    Command,
    Deposit,
    DepositFund,
    ListSymbol,
    OrderEntry,
    PlaceOrder,
    PlaceOrders,
    SetAdlPolicy,
    SetAutoMargin,
    SetBrackets,
    SetCountdown,
    SetFundingPolicy,
    SetFundPolicy,
    SetMarginMode,
    SetMarginWarnings,
    SetMark,
    SetMarkPolicy,
    SetPositionMode,
    SetPrice,
    SetRiskLimits,
    SetStpGroup,
    SetSymbolState,
    SettleFunding,
    Withdraw,
)
from exchange.protocol.records import decode_commands
from exchange.protocol.schema import (
    COMMAND_BY_NAME,
    MAX_ACCOUNT,
    MESSAGE_BY_NUMBER,
    AdlPolicy,
    Leg,
    LiquidationMode,
    ListMode,
    MarginMode,
    OrderType,
    PositionMode,
    SelfTradePrevention,
    Side,
    SymbolState,
    TimeInForce,
    TriggerBy,
)
from exchange.sim.scenario_names import TEXT_CLIENT_ORDER_IDS
from exchange.sim.scenario_orders import FLAG_KEYS, LIMIT_TYPES
from exchange.units import ATOM, EXACT, from_atoms, from_ppb, from_ppm, plain

E12 = Decimal(10) ** 12


class Listed:
    """A symbol of the file: its steps, to say prices and quantities in."""

    def __init__(self, listing: ListSymbol, taken: Collection[str]) -> None:
        is_plain = (
            re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", listing.name) and listing.name not in taken
        )
        self.name = listing.name if is_plain else f"S{listing.symbol}"
        self.tick = Decimal(listing.tick_size_e12) / E12
        self.lot = Decimal(listing.lot_size_e12) / E12

    def price(self, ticks: int) -> str:
        return show(ticks * self.tick)

    def quantity(self, lots: int) -> str:
        return show(lots * self.lot)


def show(value: Decimal) -> str:
    return f"{plain(value):f}"


def atoms(value: int) -> str:
    return show(from_atoms(value))


def duration(ns: int) -> str:
    """Nanoseconds as a scenario says them."""
    return f"{ns // 10**6}ms" if ns % 10**6 == 0 else f"{ns}ns"


def rate(value: int) -> str:
    return show(from_ppm(value))


def write_scenario(
    name: str,
    note: str,
    records: Sequence[bytes],
    rejects: Sequence[str | None],
    seed: int | None = None,
) -> str:
    """The text of a scenario file; ``rejects`` names the reason of each command that is refused."""
    listed: dict[int, Listed] = {}
    symbols: list[str] = []
    steps: list[str] = []
    accounts: set[int] = set()
    for record, reject in zip(records, rejects, strict=True):
        step = None
        try:
            (command,) = decode_commands(record)
        except ValueError:
            steps.append(f"- raw: {{bytes: '{record.hex()}'{reject_key(reject)}}}")
            continue
        if isinstance(command, ListSymbol) and reject is None and not steps:
            listed[command.symbol] = Listed(command, {known.name for known in listed.values()})
            symbols.append(symbol_line(command, listed[command.symbol]))
            continue
        try:
            step = step_of(command, listed)
        except (ExchangeError, KeyError, ValueError, ArithmeticError):
            step = None  # the language has no words for it
        if step is None:
            steps.append(raw_step(command, reject))
            continue
        accounts.update(accounts_of(command))
        kind, _, body = step.partition(" ")
        steps.append(f"- {kind}: {{{body}{reject_key(reject)}}}")
    lines = [f"name: {name}", f"note: {note!r}"]
    lines += [f"seed: {seed}"] if seed is not None else []
    lines.append(f"pace: {duration(STEP_NS)}")
    lines += ["symbols:" + ("" if symbols else " {}"), *symbols]
    lines += (
        [f"accounts: {{{', '.join(f'a{n}: {n}' for n in sorted(accounts))}}}"] if accounts else []
    )
    funds = sorted({fund for r in records for c in decoded(r) for fund in funds_of(c)} - {0})
    lines += [f"funds: {{shared: 0, {', '.join(f'f{n}: {n}' for n in funds)}}}"] if funds else []
    lines += ["steps:" + ("" if steps else " []"), *steps]
    return "\n".join(lines) + "\n"


def funds_of(command: Command) -> list[int]:
    """The funds that a step names."""
    match command:
        case ListSymbol(fund=fund) | DepositFund(fund=fund):
            return [fund]
        case SetFundPolicy(second_fund=fund, second_cap_atoms=cap) if cap:
            return [fund]
    return []


def accounts_of(command: Command) -> list[int]:
    """The accounts that a step names."""
    numbers = [command.account]
    if isinstance(command, SetStpGroup):
        numbers.append(command.member_account)
    return [number for number in numbers if number]


def decoded(record: bytes) -> list[Command]:
    try:
        return decode_commands(record)
    except ValueError:
        return []


def reject_key(reject: str | None) -> str:
    return f", reject: {reject}" if reject else ""


def fund_name(number: int) -> str:
    return f"f{number}" if number else "shared"


def symbol_line(listing: ListSymbol, listed: Listed) -> str:
    """The symbol's line, every key said: a scenario's own defaults are others."""
    keys = [
        f"symbol: {listing.symbol}",
        f"tick: {show(listed.tick)}",
        f"lot: {show(listed.lot)}",
        f"initial_margin: {rate(listing.initial_margin_ppm)}",
        f"brackets: [{bracket_rows(listing.brackets)}]",
        f"taker_fee: {rate(listing.taker_fee_ppm)}",
        f"maker_fee: {rate(listing.maker_fee_ppm)}",
        f"upnl_weight: {rate(listing.upnl_weight_ppm)}",
        f"min_quantity: {listed.quantity(listing.min_qty_lots)}",
        f"max_quantity: {listed.quantity(listing.max_qty_lots)}",
        f"min_notional: {atoms(listing.min_notional_atoms)}",
        f"max_open_orders: {listing.max_open_orders}",
        f"exposure_limit: {atoms(listing.exposure_limit_atoms)}",
        f"fund: {fund_name(listing.fund)}",
    ]
    if listing.price_band_ppm >= 0:
        keys.append(f"price_band: {rate(listing.price_band_ppm)}")
    if listing.slippage_cap_ppm >= 0:
        keys.append(f"slippage_cap: {rate(listing.slippage_cap_ppm)}")
    return (
        f"  {listed.name}: {{{', '.join(keys)},\n    liquidation: {{{liquidation_keys(listing)}}}}}"
    )


def bracket_rows(brackets: Sequence[Bracket]) -> str:
    return ", ".join(
        f"[{atoms(floor)}, {rate(maintenance)}{f', {rate(initial)}' if initial else ''}]"
        for floor, maintenance, initial in brackets
    )


def liquidation_keys(listing: ListSymbol) -> str:
    keys = [
        f"mode: {LiquidationMode(listing.liquidation_mode).name.lower()}",
        f"fee: {rate(listing.liquidation_fee_ppm)}",
        f"fraction: {rate(listing.liquidation_fraction_ppm)}",
        f"buffer: {rate(listing.liquidation_buffer_ppm)}",
        f"min_notional: {atoms(listing.liquidation_min_notional_atoms)}",
    ]
    if listing.liquidation_max_notional_atoms >= 0:
        keys.append(f"max_notional: {atoms(listing.liquidation_max_notional_atoms)}")
    if listing.draw_cap_atoms >= 0:
        keys.append(f"draw_cap: {atoms(listing.draw_cap_atoms)}")
    return ", ".join(keys)


def step_of(command: Command, listed: dict[int, Listed]) -> str | None:
    """Kind and keys of a command's step; None, KeyError or ValueError where it has to be raw."""
    account = f"account: a{command.account}"
    is_trader = MESSAGE_BY_NUMBER[command.number].sender == "trader"
    if is_trader != (1 <= command.account <= MAX_ACCOUNT) or (not is_trader and command.account):
        return None
    match command:
        case Deposit(amount_atoms=amount):
            return f"deposit {account}, amount: {atoms(amount)}"
        case Withdraw(amount_atoms=amount):
            return f"withdraw {account}, amount: {atoms(amount)}"
        case DepositFund(fund=fund, amount_atoms=amount):
            return f"fund name: {fund_name(fund)}, amount: {atoms(amount)}"
        case SetMark(symbol=symbol, price_ticks=price):
            return f"mark symbol: {listed[symbol].name}, price: {listed[symbol].price(price)}"
        case SetPrice(symbol=symbol, source=source, price_ticks=price):
            where = f", source: {source}" if source else ""
            return (
                f"price symbol: {listed[symbol].name}, price: {listed[symbol].price(price)}{where}"
            )
        case SetMarkPolicy():
            return mark_policy_step(command, listed[command.symbol])
        case SetFundingPolicy():
            return funding_policy_step(command, listed[command.symbol])
        case SettleFunding():
            return funding_step(command, listed[command.symbol])
        case SetMarginMode(symbol=symbol, margin_mode=mode, initial_margin_ppm=ppm, leg=leg):
            own = f", initial_margin: {rate(ppm)}" if ppm else ""
            mode_name = MarginMode(mode).name.lower()
            return f"margin_mode {account}, symbol: {listed[symbol].name}, mode: {mode_name}{own}{leg_key(leg)}"
        case ChangeIsolatedMargin(symbol=symbol, change_atoms=change, leg=leg):
            name = listed[symbol].name
            return (
                f"isolated_margin {account}, symbol: {name}, change: {atoms(change)}{leg_key(leg)}"
            )
        case SetAutoMargin(symbol=symbol, enabled=enabled, leg=leg) if enabled < 2:
            on = "true" if enabled else "false"
            return (
                f"auto_margin {account}, symbol: {listed[symbol].name}, enabled: {on}{leg_key(leg)}"
            )
        case SetPositionMode(position_mode=mode):
            return f"position_mode {account}, mode: {PositionMode(mode).name.lower()}"
        case PlaceOrder():
            keys = [account, *order_keys(command, listed[command.symbol])]
            return f"order {', '.join(keys)}"
        case PlaceOrders():
            return orders_step(account, command, listed)
        case SetCountdown(timeout_ms=timeout_ms):
            timeout = f"{timeout_ms}ms" if timeout_ms else "never"
            return f"countdown {account}, timeout: {timeout}"
        case SetStpGroup(member_account=number, stp_group=group):
            if not 1 <= number <= MAX_ACCOUNT:
                return None
            return f"stp_group account: a{number}, group: {group}"
        case SetAdlPolicy(symbol=symbol, policy=policy):
            return f"adl_policy symbol: {listed[symbol].name}, policy: {AdlPolicy(policy).name.lower()}"
        case SetBrackets(symbol=symbol, initial_margin_ppm=ppm, brackets=rows):
            table = f"initial_margin: {rate(ppm)}, brackets: [{bracket_rows(rows)}]"
            return f"brackets symbol: {listed[symbol].name}, {table}"
        case SetRiskLimits():
            return limits_step(command, listed[command.symbol])
        case SetFundPolicy():
            return fund_policy_step(command, listed[command.symbol])
        case SetMarginWarnings():
            return margin_warnings_step(command)
        case SetSymbolState(symbol=symbol, state=state, price_ticks=price):
            final = f", price: {listed[symbol].price(price)}" if price else ""
            name = SymbolState(state).name.lower()
            return f"state symbol: {listed[symbol].name}, state: {name}{final}"
        case CancelAll(symbol=symbol, side=side):
            where = f", symbol: {listed[symbol].name}" if symbol else ""
            which = f", side: {Side(side).name.lower()}" if side != 2 else ""
            return f"cancel_all {account}{where}{which}"
        case CancelOrder(order_id=order_id, client_order_id=client):
            return f"cancel {account}, {order_name(order_id, client)}"
        case AdvanceTime():
            return "time advance: 0ms"
        case AmendOrder() if len(listed) == 1:
            (symbol_listed,) = listed.values()
            return amend_step(account, command, symbol_listed)
        case _:
            return None  # an amend does not say whose steps its numbers are


def mark_policy_step(command: SetMarkPolicy, listed: Listed) -> str | None:
    numbers = (command.max_age_ns, command.ema_ns)
    if command.enabled > 1 or min(numbers) < 0:
        return None
    keys = [f"symbol: {listed.name}", f"max_feeds: {command.max_feeds}"]
    keys += [f"max_age: {duration(command.max_age_ns)}", f"ema: {duration(command.ema_ns)}"]
    keys += [] if command.enabled else ["enabled: false"]
    return f"mark_policy {', '.join(keys)}"


def funding_policy_step(command: SetFundingPolicy, listed: Listed) -> str | None:
    numbers = (command.interval_ns, command.sample_ns)
    if command.enabled > 1 or min(numbers) < 0:
        return None
    keys = [f"symbol: {listed.name}"]
    keys += [f"interval: {duration(command.interval_ns)}", f"sample: {duration(command.sample_ns)}"]
    keys += [f"interest: {show(from_ppb(command.interest_ppb))}"]
    keys += [f"clamp: {show(from_ppb(command.clamp_ppb))}"]
    keys += [f"max_rate: {show(from_ppb(command.max_rate_ppb))}"]
    keys += [f"impact: {atoms(command.impact_notional_atoms)}"]
    keys += [] if command.enabled else ["enabled: false"]
    return f"funding_policy {', '.join(keys)}"


def funding_step(command: SettleFunding, listed: Listed) -> str:
    whole = (command.payment_atoms_per_lot << 32) + command.payment_fraction_q32
    # 2^-32 has 32 decimals: exact, or an error that makes the step a raw one.
    per_lot = EXACT.divide(Decimal(whole), Decimal(1 << 32))
    return f"funding symbol: {listed.name}, per_unit: {show(EXACT.divide(EXACT.multiply(ATOM, per_lot), listed.lot))}"


def limits_step(command: SetRiskLimits, listed: Listed) -> str:
    """Caps in the words of a scenario; ValueError for what they cannot say."""
    keys = [f"symbol: {listed.name}"]
    for name, cap in (
        ("position_limit", command.position_limit_atoms),
        ("open_interest_limit", command.open_interest_limit_atoms),
    ):
        keys += [f"{name}: {atoms(cap)}"] if cap != -1 else []
    scale = (command.oi_scaling_lower_atoms, command.oi_scaling_upper_atoms)
    if scale != (-1, -1):
        keys.append(f"margin_scaling: [{atoms(scale[0])}, {atoms(scale[1])}]")
    return f"limits {', '.join(keys)}"


def fund_policy_step(command: SetFundPolicy, listed: Listed) -> str | None:
    """Caps of funds in the words of a scenario; None for what they cannot say."""
    second, window = command.second_cap_atoms, command.window_ns
    caps = (command.cap_atoms, second, command.window_cap_atoms)
    if min(caps) < -1 or window < 0 or (command.second_fund and not second):
        return None
    keys = [f"symbol: {listed.name}"]
    keys += [f"cap: {atoms(command.cap_atoms)}"] if command.cap_atoms >= 0 else []
    keys += [f"second_fund: {fund_name(command.second_fund)}"] if second else []
    keys += [f"second_cap: {atoms(second)}"] if second > 0 else []
    keys += [f"window: {duration(window)}"] if window else []
    keys += [f"window_cap: {atoms(command.window_cap_atoms)}"] if caps[2] >= 0 else []
    return f"fund_policy {', '.join(keys)}"


def margin_warnings_step(command: SetMarginWarnings) -> str:
    levels = [command.first_level_ppm, command.second_level_ppm]
    levels += [command.third_level_ppm, command.fourth_level_ppm]
    while levels and not levels[-1]:
        levels.pop()
    return f"margin_warnings levels: [{', '.join(map(rate, levels))}]"


def orders_step(account: str, command: PlaceOrders, listed: dict[int, Listed]) -> str:
    entries = [", ".join(order_keys(entry, listed[entry.symbol])) for entry in command.orders]
    text = ",".join(f"\n    {{{entry}}}" for entry in entries)
    mode = ListMode(command.list_mode).name.lower()
    return f"orders {account}, mode: {mode}, orders: [{text}]"


def order_keys(order: PlaceOrder | OrderEntry, listed: Listed) -> list[str]:
    """The keys of an order but for its account; ValueError where the language has no words for it."""
    kind, tif = OrderType(order.order_type), TimeInForce(order.time_in_force)
    is_limit = kind in LIMIT_TYPES
    named = [key for key, bit in FLAG_KEYS.items() if order.flags & bit]
    if sum(FLAG_KEYS[key] for key in named) != order.flags:
        raise ValueError("raw")
    keys = [f"symbol: {listed.name}", f"side: {Side(order.side).name.lower()}"]
    if order.qty_lots or "close_position" not in named:
        keys.append(f"quantity: {listed.quantity(order.qty_lots)}")
    keys += [f"price: {listed.price(order.price_ticks)}"] if is_limit or order.price_ticks else []
    keys += [f"type: {kind.name.lower()}"] if kind is not OrderType.LIMIT else []
    default = TimeInForce.IOC
    if is_limit:
        default = TimeInForce.GTD if order.expires_ns else TimeInForce.GTC
    keys += [f"time_in_force: {tif.name.lower()}"] if tif is not default else []
    keys += [f"{name}: true" for name in named]
    if order.self_trade:
        keys.append(f"self_trade: {SelfTradePrevention(order.self_trade).name.lower()}")
    if order.leg:
        keys.append(f"leg: {Leg(order.leg).name.lower()}")
    if order.trigger_by:
        keys.append(f"trigger_by: {TriggerBy(order.trigger_by).name.lower()}")
    keys += [order_name(0, order.client_order_id)] if order.client_order_id else []
    return keys + changed_keys(order, listed)


def leg_key(leg: int) -> str:
    return f", leg: {Leg(leg).name.lower()}" if leg else ""


def changed_keys(order: PlaceOrder | OrderEntry | AmendOrder, listed: Listed) -> list[str]:
    """The keys that an order and an amendment have alike, price and quantity apart."""
    keys = []
    if order.display_lots:
        keys.append(f"display: {listed.quantity(order.display_lots)}")
    if order.expires_ns < 0:
        raise ValueError("raw")
    keys += [f"expires: at {duration(order.expires_ns)}"] if order.expires_ns else []
    keys += [f"trigger: {listed.price(order.trigger_ticks)}"] if order.trigger_ticks else []
    keys += [f"callback: {listed.price(order.callback_ticks)}"] if order.callback_ticks else []
    keys += [f"callback_rate: {rate(order.callback_ppm)}"] if order.callback_ppm else []
    return keys


def amend_step(account: str, order: AmendOrder, listed: Listed) -> str:
    keys = [account, order_name(order.order_id, order.client_order_id)]
    keys += [f"price: {listed.price(order.price_ticks)}"] if order.price_ticks else []
    keys += [f"quantity: {listed.quantity(order.qty_lots)}"] if order.qty_lots else []
    return f"amend {', '.join(keys + changed_keys(order, listed))}"


def order_name(order_id: int, client_order_id: int) -> str:
    if order_id and not client_order_id:
        return f"order_id: {order_id}"
    if order_id or not 0 < client_order_id < TEXT_CLIENT_ORDER_IDS:
        raise ValueError("raw")
    return f"client_order_id: {client_order_id}"


def raw_step(command: Command, reject: str | None) -> str:
    """The command in the table's own words."""
    message = MESSAGE_BY_NUMBER[command.number]
    assert message.name in COMMAND_BY_NAME
    keys = [f"command: {message.name}"]
    for name in command.__struct_fields__:
        if name in ("sequence", "timestamp_ns"):
            continue
        value = getattr(command, name)
        if name == "orders":
            value = "[" + ", ".join(map(raw_entry, value)) + "]"
            keys.append(f"{name}: {value}")
            continue
        if isinstance(value, tuple):
            value = [list(row) for row in value]
        keys.append(f"{name}: {value!r}" if isinstance(value, str) else f"{name}: {value}")
    return f"- raw: {{{', '.join(keys)}{reject_key(reject)}}}"


def raw_entry(entry: OrderEntry) -> str:
    """One order of a list in the table's own words."""
    fields = (f"{name}: {getattr(entry, name)}" for name in entry.__struct_fields__)
    return f"{{{', '.join(fields)}}}"
