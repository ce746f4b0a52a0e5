"""A picture drawn into so many columns and lines: books, rates, marks and funding, funds, liquidations.

A line is a rich ``Text`` of exactly the width, so that what is drawn fits whatever the terminal is, down to 80 by 24.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from rich.text import Text

from exchange.gateway.feed import BookSnapshot, Statistics
from exchange.ops.top.picture import Liquidation, Look, Picture, units_of
from exchange.protocol.messages import DeficitUncovered
from exchange.protocol.schema import Side, SymbolState
from exchange.protocol.views import LevelView, SymbolView
from exchange.units import SymbolUnits, from_atoms

MIN_WIDTH, MIN_HEIGHT = 80, 24
BOOK_WIDTH = 38  # of one book, at least
MAX_SYMBOL_ROWS = 8
MIN_LIQUIDATIONS = 3
FUNDS_WIDTH = 30
NS = 10**9
HEAD, DIM, BAD, GOOD, BUY, SELL = "bold", "dim", "bold red", "green", "green", "red"

#: Columns of the table of symbols: title, width, negative: to the left.
COLUMNS = (
    ("SYMBOL", -12),
    ("LAST", 11),
    ("MARK", 11),
    ("FUNDING", 10),
    ("IN", 6),
    ("OPEN INT.", 10),
    ("24H VOL.", 9),
    ("TRADES/S", 9),
)


def frame(picture: Picture, width: int, height: int) -> list[Text]:
    """All lines of one frame: at most ``height``, each ``width`` wide."""
    width, height = max(width, MIN_WIDTH), max(height, MIN_HEIGHT)
    lines = [title_line(picture, width)]
    look = picture.last
    if look is None:
        return [*lines, fit(Text(picture.away or "connecting", style=BAD), width)]
    lines += [rates_line(picture, look, width), *operator_lines(look, width)]
    shown = [view for view in look.symbols if view.symbol in look.statistics][:MAX_SYMBOL_ROWS]
    lines += symbol_lines(picture, look, shown, width)
    books = shown[: max(1, width // (BOOK_WIDTH + 2))]
    bottom = max(MIN_LIQUIDATIONS, (height - len(lines)) // 4)
    # Two rules, and the titles of the books and of what is below them.
    depth = max(1, height - len(lines) - bottom - 4)
    lines.append(rule(width))
    lines += book_lines(look, books, width, depth)
    lines.append(rule(width))
    lines += bottom_lines(picture, look, width, bottom)
    return lines[:height]


def fit(text: Text, width: int) -> Text:
    """Cut or filled to the width."""
    text = text.copy()
    text.truncate(width, pad=True)
    return text


def beside(parts: Sequence[Text], width: int, gap: int = 2) -> Text:
    return fit(Text(" " * gap).join(parts), width)


def rule(width: int) -> Text:
    return Text("─" * width, style=DIM)


def clock(timestamp_ns: int) -> str:
    """Time of day, UTC.

    >>> clock(3_661 * 10**9)
    '01:01:01'
    """
    return datetime.fromtimestamp(timestamp_ns // NS, UTC).strftime("%H:%M:%S")


def short(value: Decimal | float) -> str:
    """A number in few characters.

    >>> [short(Decimal(v)) for v in ("0", "0.5", "999.25", "12345", "2500000", "7000000000")]
    ['0', '0.5', '999.25', '12.3k', '2.50M', '7.00G']
    """
    number = Decimal(value)
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**4, "k")):
        if abs(number) >= size:
            scaled = number / (size if letter != "k" else 1000)
            return f"{scaled:.1f}{letter}" if abs(scaled) >= 10 else f"{scaled:.2f}{letter}"
    return f"{number.normalize():,f}" if number else "0"


def duration(seconds: float) -> str:
    """A time to come or gone, in hours and minutes or minutes and seconds.

    >>> duration(59), duration(3700), duration(-5)
    ('0m59', '1h01', '0m00')
    """
    whole = max(0, int(seconds))
    if whole >= 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02}"
    return f"{whole // 60}m{whole % 60:02}"


def milliseconds(seconds: float) -> str:
    """
    >>> milliseconds(0.000_234), milliseconds(0.0123)
    ('0.23 ms', '12.3 ms')
    """
    ms = seconds * 1000
    return f"{ms:.2f} ms" if ms < 10 else f"{ms:.1f} ms"


# ------------------------------------------------------------------------------------------------ the top


def title_line(picture: Picture, width: int) -> Text:
    left = Text.assemble(("exchange top", HEAD), f"  {picture.endpoint}  ")
    if picture.away:
        since = duration(time.monotonic() - picture.away_since_s)
        left.append(f"away for {since}", style=BAD)
    elif picture.last is not None:
        ping = picture.last.ping
        left.append(f"{ping['engine']} {ping['version']}, durability {ping['durability']}")
    right = f" {clock(time.time_ns())}"
    return Text.assemble(fit(left, width - len(right)), (right, DIM))


def rates_line(picture: Picture, look: Look, width: int) -> Text:
    if picture.away:
        return fit(Text(picture.away, style=BAD), width)
    median_s, worst_s = picture.round_trip_s()
    trades = sum(picture.trades_per_s(symbol) for symbol in look.statistics)
    return fit(
        Text.assemble(
            ("round trip ", DIM),
            f"{milliseconds(median_s)}, worst {milliseconds(worst_s)}",
            ("   commands ", DIM),
            f"{picture.commands.per_s:,.0f}/s",
            ("   trades ", DIM),
            f"{trades:,.0f}/s",
            ("   sequence ", DIM),
            f"{look.ping['sequence']:,}",
        ),
        width,
    )


def operator_lines(look: Look, width: int) -> list[Text]:
    """What the operator's door adds, if it answers."""
    status = look.status
    if status is None:
        return []
    lag = status["sequence"] - status["durable_sequence"]
    phase = str(status.get("phase", "serving"))
    return [
        fit(
            Text.assemble(
                ("sessions ", DIM),
                f"{status['sessions']:,}",
                ("   journal lag ", DIM),
                (f"{lag:,}", BAD if lag > 10_000 else ""),
                ("   held ", DIM),
                f"{short(status['held_bytes'])} B",
                ("   node ", DIM),
                (phase, GOOD if phase == "serving" else BAD),
            ),
            width,
        )
    ]


# -------------------------------------------------------------------------------------------- the symbols


def symbol_lines(
    picture: Picture, look: Look, shown: Sequence[SymbolView], width: int
) -> list[Text]:
    lines = [rule(width), row_of([(title, DIM) for title, _ in COLUMNS], width)]
    for view in shown:
        cells = symbol_cells(view, look.statistics[view.symbol], picture.trades_per_s(view.symbol))
        lines.append(row_of(cells, width))
    hidden = len(look.symbols) - len(shown)
    if hidden > 0:
        lines.append(fit(Text(f"and {hidden} more: --symbol chooses", style=DIM), width))
    return lines


def row_of(cells: Sequence[tuple[str, str]], width: int) -> Text:
    row = Text()
    for (text, style), (_, column) in zip(cells, COLUMNS, strict=True):
        cut = text[: abs(column)]
        row.append(cut.ljust(-column) if column < 0 else cut.rjust(column), style=style)
    return fit(row, width)


def symbol_cells(
    view: SymbolView, statistics: Statistics, trades_per_s: float
) -> list[tuple[str, str]]:
    units = units_of(view)
    state = SymbolState(view.state)
    name = view.name if state is SymbolState.OPEN else f"{view.name} {state.name.lower()}"
    last, mark = (
        f"{units.ticks_to_price(ticks):,}" if ticks else "-"
        for ticks in (statistics.last_ticks, statistics.mark_ticks)
    )
    rate, due = "by hand", "-"
    if (funding := statistics.funding) is not None:
        rate = f"{funding.rate_ppb / 10**7:+.4f}%" if funding.samples else "no rate"
        due = duration((funding.next_funding_ns - time.time_ns()) / NS)
    return [
        (name, HEAD if state is SymbolState.OPEN else BAD),
        (last, ""),
        (f"{mark} held" if statistics.mark_held else mark, BAD if statistics.mark_held else ""),
        (rate, ""),
        (due, ""),
        (short(units.lots_to_qty(statistics.open_interest_lots)), ""),
        (short(units.lots_to_qty(statistics.volume_lots)), ""),
        (f"{trades_per_s:,.1f}", ""),
    ]


# ----------------------------------------------------------------------------------------------- the books


def book_lines(look: Look, shown: Sequence[SymbolView], width: int, depth: int) -> list[Text]:
    """The best levels of some books beside each other."""
    if not shown:
        return [fit(Text("no symbol is listed", style=DIM), width)]
    room = (width - 2 * (len(shown) - 1)) // len(shown)
    columns = [book_column(view, look.books[view.symbol], room, depth) for view in shown]
    return [beside(line, width) for line in zip(*columns, strict=True)]


def book_column(view: SymbolView, book: BookSnapshot, width: int, depth: int) -> list[Text]:
    units, half = units_of(view), (width - 1) // 2
    spread = ""
    if book.bids and book.asks:
        ticks = book.asks[0].price_ticks - book.bids[0].price_ticks
        spread = f"spread {units.ticks_to_price(ticks):,}"
    title = Text.assemble((view.name, HEAD), f"  {spread}")
    lines = [fit(title, width)]
    for place in range(depth):
        bid = level_text(book.bids, place, units, half, BUY)
        ask = level_text(book.asks, place, units, width - 1 - half, SELL)
        lines.append(Text.assemble(bid, ("│", DIM), ask))
    return lines


def level_text(
    levels: Sequence[LevelView], place: int, units: SymbolUnits, width: int, style: str
) -> Text:
    """A level of a side: what is closest to the other side is its price."""
    if place >= len(levels):
        return Text(" " * width)
    level = levels[place]
    price = f"{units.ticks_to_price(level.price_ticks):,}"
    quantity = f"{units.lots_to_qty(level.qty_lots):,}"
    room = width - len(price) - 2
    if style == BUY:
        return fit(Text.assemble(quantity[:room].rjust(room), (f" {price} ", style)), width)
    return fit(Text.assemble((f" {price} ", style), quantity[:room].ljust(room)), width)


# ---------------------------------------------------------------------------------------------- the bottom


def bottom_lines(picture: Picture, look: Look, width: int, count: int) -> list[Text]:
    """Funds to the left, the last liquidations to the right."""
    room = width - FUNDS_WIDTH - 2
    funds = fund_lines(look, count)
    liquidations = liquidation_lines(picture, count)
    lines = [
        beside([fit(Text("FUNDS", style=DIM), FUNDS_WIDTH), Text("LIQUIDATIONS", style=DIM)], width)
    ]
    for place in range(count):
        left = funds[place] if place < len(funds) else Text()
        right = liquidations[place] if place < len(liquidations) else Text()
        lines.append(beside([fit(left, FUNDS_WIDTH), fit(right, room)], width))
    return lines


def fund_lines(look: Look, count: int) -> list[Text]:
    lines = []
    if look.uncovered:
        lines.append(Text("a deficit is uncovered", style=BAD))
    lines.append(Text(f"fees {money(look.fees_atoms)}"))
    for fund, balance_atoms in look.funds.items():
        lines.append(Text(f"{'shared' if fund == 0 else f'fund {fund}'} {money(balance_atoms)}"))
    if len(lines) > count:
        lines[count - 1 :] = [Text(f"and {len(lines) - count + 1} more", style=DIM)]
    return lines


def money(atoms: int) -> str:
    """
    >>> money(123_456_789_012)
    '1,234.56'
    """
    return f"{from_atoms(atoms // 10**6 * 10**6):,.2f}"


def liquidation_lines(picture: Picture, count: int) -> list[Text]:
    """The last ones, newest first."""
    if not picture.liquidations:
        return [Text("none since this was started", style=DIM)]
    newest = list(picture.liquidations)[::-1][:count]
    return [liquidation_line(picture, liquidation) for liquidation in newest]


def liquidation_line(picture: Picture, liquidation: Liquidation) -> Text:
    event = liquidation.event
    at, view = clock(liquidation.timestamp_ns), picture.view(event.symbol)
    if view is None:
        return Text(f"{at} symbol {event.symbol}")
    if isinstance(event, DeficitUncovered):
        text = f"{at} {view.name} uncovered {money(event.shortfall_atoms)}"
        return Text(text, style=BAD)
    units, side = units_of(view), Side(event.side).name.lower()
    quantity, price = units.lots_to_qty(event.qty_lots), units.ticks_to_price(event.price_ticks)
    return Text.assemble(
        f"{at} {view.name} ",
        (side, BUY if event.side == Side.BUY else SELL),
        f" {quantity} to {price:,}",
    )
