"""The answer as a table for people and as JSON for programs; every number is one that the engine gave."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import msgspec

from exchange.protocol.preview import ASSUMPTION_PROSE, PoolView, PreviewView, Standing, StepView
from exchange.protocol.schema import MESSAGE_BY_NUMBER
from exchange.protocol.views import PositionView
from exchange.units import SymbolUnits, from_atoms, from_ppm, plain

NONE = "-"
CENT = Decimal("0.01")


class Priced(msgspec.Struct, frozen=True):
    """A symbol as the table needs it."""

    name: str
    units: SymbolUnits
    taker_fee_ppm: int | None  # None: not known, of a node


Symbols = Mapping[int, Priced]


# --------------------------------------------------------------------------------------------------- numbers


def money(atoms: int) -> str:
    return f"{from_atoms(atoms):f}"


def price(ticks: int, units: SymbolUnits) -> str | None:
    return f"{plain(units.ticks_to_price(ticks)):f}" if ticks else None


def percent(ratio_ppm: int | None) -> str | None:
    """A ratio in percent, exactly as it is in ppm."""
    return None if ratio_ppm is None else f"{plain(from_ppm(ratio_ppm) * 100):f}"


def distance_percent(ticks: int, mark_ticks: int) -> str | None:
    """How far a price is from the mark, in percent of the mark, to the hundredth."""
    if not ticks:
        return None
    return f"{(Decimal(ticks - mark_ticks) * 100 / mark_ticks).quantize(CENT, ROUND_HALF_EVEN):f}"


def fee(value_atoms: int, symbol: Priced) -> str | None:
    """ACCT-04: what a taker pays on a value."""
    if symbol.taker_fee_ppm is None:
        return None
    return money(-(-value_atoms * symbol.taker_fee_ppm // 1_000_000))


# ------------------------------------------------------------------------------------------------------ JSON


def pool_data(pool: PoolView, symbols: Symbols) -> dict[str, Any]:
    return {
        "pool": symbols[pool.symbol].name if pool.symbol else "cross",
        "balance": money(pool.balance_atoms),
        "equity": money(pool.equity_atoms),
        "initial_margin": money(pool.initial_margin_atoms),
        "maintenance_margin": money(pool.maintenance_atoms),
        "available": money(pool.available_atoms),
        "withdrawable": money(pool.withdrawable_atoms),
        "margin_ratio_percent": percent(pool.margin_ratio_ppm),
        "liquidating": pool.liquidating,
    }


def position_data(view: PositionView, symbols: Symbols) -> dict[str, Any]:
    symbol = symbols[view.symbol]
    units, lots = symbol.units, abs(view.position_lots)
    notional = lots * view.mark_ticks * units.atoms_per_tick_lot
    entry = from_atoms(abs(view.entry_value_atoms)) / units.lots_to_qty(lots)
    return {
        "symbol": symbol.name,
        "side": "long" if view.position_lots > 0 else "short",
        "size": f"{plain(units.lots_to_qty(lots)):f}",
        "entry": f"{plain(entry):f}",
        "mark": price(view.mark_ticks, units),
        "mode": "isolated" if view.margin_mode else "cross",
        "leverage": f"{Decimal(1_000_000) / view.initial_margin_ppm:.4g}",
        "notional": money(notional),
        "unrealised": money(view.unrealised_atoms),
        "initial_margin": money(view.initial_margin_atoms),
        "maintenance_margin": money(view.maintenance_atoms),
        "order_margin": money(view.order_margin_atoms),
        "liquidation_price": price(view.liquidation_price_ticks, units),
        "liquidation_distance_percent": distance_percent(
            view.liquidation_price_ticks, view.mark_ticks
        ),
        "bankruptcy_price": price(view.bankruptcy_price_ticks, units),
        "fee_opened_as_taker": fee(abs(view.entry_value_atoms), symbol),
        "fee_closed_at_mark": fee(notional, symbol),
    }


def standing_data(standing: Standing, symbols: Symbols) -> dict[str, Any]:
    return {
        "pools": [pool_data(pool, symbols) for pool in standing.pools],
        "positions": [position_data(p, symbols) for p in standing.positions if p.position_lots],
    }


def step_data(step: StepView, text: str) -> dict[str, Any]:
    return {
        "step": text,
        "command": MESSAGE_BY_NUMBER[step.command].name,
        "accepted": step.accepted,
        "message": step.message,
        "fees": money(step.fees_atoms),
        "realised": money(step.realised_atoms),
        "liquidated_pools": len(step.liquidated_pools),
    }


def answer_data(told: PreviewView, texts: Sequence[str], symbols: Symbols) -> dict[str, Any]:
    """The whole answer; numbers are texts, so that nothing rounds them."""
    data: dict[str, Any] = {
        "steps": [step_data(step, text) for step, text in zip(told.steps, texts, strict=True)],
        "now": standing_data(told.before, symbols),
    }
    if told.steps:
        data["open"] = None if told.open is None else standing_data(told.open, symbols)
        data["after"] = standing_data(told.after, symbols)
        data["fees"] = money(told.fees_atoms)
        data["assumes"] = {name.value: ASSUMPTION_PROSE[name] for name in told.assumes}
    return data


def as_json(told: PreviewView, texts: Sequence[str], symbols: Symbols) -> str:
    return json.dumps(answer_data(told, texts, symbols), indent=2)


# ----------------------------------------------------------------------------------------------------- table

POOL_ROWS = (
    ("balance", "balance"),
    ("equity", "equity"),
    ("initial_margin", "initial margin"),
    ("maintenance_margin", "maintenance margin"),
    ("available", "available"),
    ("withdrawable", "withdrawable"),
    ("margin_ratio_percent", "margin ratio, %"),
)
POSITION_ROWS = (
    ("side", "side"),
    ("size", "size"),
    ("entry", "entry"),
    ("mark", "mark"),
    ("mode", "mode"),
    ("leverage", "leverage"),
    ("notional", "notional"),
    ("unrealised", "unrealised"),
    ("initial_margin", "initial margin"),
    ("maintenance_margin", "maintenance margin"),
    ("order_margin", "order margin"),
    ("liquidation_price", "liquidation price"),
    ("liquidation_distance_percent", "distance, %"),
    ("bankruptcy_price", "bankruptcy price"),
    ("fee_opened_as_taker", "fee, opened as taker"),
    ("fee_closed_at_mark", "fee, closed at mark"),
)


def columns(
    names: Sequence[str], rows: Sequence[tuple[str, str]], data: Sequence[Mapping[str, Any]]
) -> list[str]:
    """One column for each thing, one line for each number."""
    body = [("", *names)]
    body += [(title, *(str(item[key] or NONE) for item in data)) for key, title in rows]
    widths = [max(len(row[i]) for row in body) for i in range(len(body[0]))]
    lines = []
    for title, *cells in body:
        shown = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([title.ljust(widths[0]), *shown]).rstrip())
    return lines


def standing_lines(data: Mapping[str, Any], title: str) -> list[str]:
    pools, positions = data["pools"], data["positions"]
    lines = [title, *columns([pool["pool"] for pool in pools], POOL_ROWS, pools)]
    if positions:
        names = [position["symbol"] for position in positions]
        lines += ["", *columns(names, POSITION_ROWS, positions)]
    return lines


def as_table(told: PreviewView, texts: Sequence[str], symbols: Symbols) -> str:
    """The account now and, if there are steps, what they come to and where it is then."""
    data = answer_data(told, texts, symbols)
    lines = standing_lines(data["now"], "now")
    if told.steps:
        lines += ["", "steps"]
        for step in data["steps"]:
            verdict = "accepted" if step["accepted"] else f"refused: {step['message']}"
            charged = f", fees {step['fees']}" if step["fees"] != "0" else ""
            lines.append(f"  {step['step']}: {verdict}{charged}")
        if data["open"]:
            lines += ["", *standing_lines(data["open"], "if nobody trades with it")]
        lines += ["", *standing_lines(data["after"], "after")]
        lines += [f"it is assumed: {prose}" for prose in data["assumes"].values()]
    return "\n".join(lines)
