"""The stories of the docs come out as they are printed, on both engines, and leave no type of order out."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path

import pytest

from exchange.engine import ENGINE_KINDS
from exchange.errors import ScenarioError
from exchange.protocol.messages import OrderEntry, PlaceOrder, PlaceOrders
from exchange.protocol.records import decode_commands
from exchange.protocol.schema import (
    ListMode,
    OrderFlag,
    OrderType,
    SelfTradePrevention,
    TimeInForce,
    TriggerBy,
)
from exchange.sim.pages import BLOCK, main, tell_page
from exchange.sim.scenario import parse_scenario, run_scenario

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "order-types.md"]
ORDER_TYPES = DOCS / "order-types.md"

SMALL = """\
```yaml
symbols: {X: {tick: 0.5, lot: 0.1, initial_margin: 0.1, brackets: [[0, 0.05]]}}
steps:
- deposit: {account: a, amount: 100}
- mark: {symbol: X, price: 10}
```

```yaml
- order: {account: a, symbol: X, side: buy, quantity: 0.2, price: 9.5}
```
"""


@pytest.mark.parametrize("kind", ENGINE_KINDS)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_what_the_engine_answers(page: Path, kind: str) -> None:
    text = page.read_text(encoding="utf-8")
    assert tell_page(text, kind) == text, f"run python -m exchange.sim.pages {page}"


def orders_of_the_page() -> Iterator[tuple[PlaceOrder | OrderEntry, int]]:
    """Every order that a story sends, with the mode of the list that it stands in."""
    market, *stories = BLOCK.findall(ORDER_TYPES.read_text(encoding="utf-8"))
    for story in stories:
        for command in decode_commands(run_scenario(parse_scenario(market + story)).commands):
            if isinstance(command, PlaceOrder):
                yield command, ListMode.EACH
            elif isinstance(command, PlaceOrders):
                for order in command.orders:
                    yield order, command.list_mode


def options_of(order: PlaceOrder | OrderEntry, mode: int) -> Iterator[IntEnum]:
    yield OrderType(order.order_type)
    yield TimeInForce(order.time_in_force)
    yield SelfTradePrevention(order.self_trade)
    yield TriggerBy(order.trigger_by)
    yield ListMode(mode)
    yield from (flag for flag in OrderFlag if order.flags & flag)
    if order.display_lots:
        yield OrderFlag.ICEBERG
    if mode in (ListMode.ONE_CANCELS_OTHER, ListMode.ENTRY_WITH_EXITS):
        yield OrderFlag.LINKED


@pytest.mark.parametrize(
    "table",
    [OrderType, TimeInForce, SelfTradePrevention, OrderFlag, ListMode, TriggerBy],
    ids=lambda table: table.__name__,
)
def test_the_page_shows_every(table: type[IntEnum]) -> None:
    shown = {repr(option) for case in orders_of_the_page() for option in options_of(*case)}
    assert not [member.name for member in table if repr(member) not in shown]


def test_events_are_written_below_their_step_in_the_decimals_of_the_market() -> None:
    told = tell_page(SMALL)
    wanted = "#   accepted             order 1\n#   order_rested         order 1: a buys 0.2 at 9.5\n```\n"
    assert told == SMALL.removesuffix("```\n") + wanted
    assert tell_page(told) == told


def test_events_that_no_longer_come_are_taken_out() -> None:
    old = SMALL.removesuffix("```\n") + "#   order_rested         order 1: a buys 7 at 9\n```\n"
    assert tell_page(old) == tell_page(SMALL)


def test_a_story_that_does_not_come_out_is_an_error() -> None:
    with pytest.raises(ScenarioError, match=r"line 9.*insufficient_margin"):
        tell_page(SMALL.replace("quantity: 0.2", "quantity: 2000"))


def test_a_page_without_a_market_is_an_error() -> None:
    with pytest.raises(ScenarioError, match="symbols:"):
        tell_page("```yaml\n- mark: {symbol: X, price: 1}\n```\n")


def test_the_command_writes_and_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text(SMALL)
    assert main([str(page), "--check"]) == 1
    assert page.read_text() == SMALL
    assert main([str(page)]) == 0
    assert page.read_text() == tell_page(SMALL)
    assert main([str(page), "--check"]) == 0
    assert "out of date" in capsys.readouterr().out
    page.write_text(SMALL.replace("9.5", "9.4"))
    assert main([str(page)]) == 2
    assert "9.4" in capsys.readouterr().err
