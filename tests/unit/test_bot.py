"""A bot by itself: what it is told, in which order, and what it wants done."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.client.bot import Bot
from exchange.client.errors import RequestRefused
from exchange.protocol.messages import BalanceChanged, CancelAll, Command, Deposit, Event, Fill
from exchange.protocol.schema import FillRole, MarginMode, Side


def fill(position_lots: int, wallet_atoms: int = 0, leg: int = 0) -> Fill:
    """A fill that leaves a position; what else it says does not matter here."""
    return Fill(
        account=7, symbol=1, side=Side.BUY, role=FillRole.TAKER, margin_mode=MarginMode.CROSS, leg=leg, trade_id=1,
        order_id=1, price_ticks=1, qty_lots=1, value_atoms=1, open_lots=0, position_lots=position_lots,
        entry_value_atoms=0, realised_atoms=0, fee_atoms=0, wallet_atoms=wallet_atoms, margin_atoms=0,
    )  # fmt: skip


class Diary(Bot):
    """Writes down what it is told, and answers every fill with two commands."""

    def __init__(self) -> None:
        super().__init__(7)
        self.told: list[Any] = []

    def on_start(self) -> None:
        self.told.append("start")

    def on_event(self, event: Event) -> None:
        self.told.append(type(event).__name__)

    def on_fill(self, fill: Fill) -> None:
        self.told.append(("fill", self.held_lots(1), self.wallet_atoms))
        self.do(CancelAll(), Deposit(amount_atoms=5))

    def on_reconnect(self, missed: bool) -> None:
        self.told.append(("reconnect", missed))


def test_a_fill_is_told_as_event_and_as_fill_and_the_position_is_known_by_then() -> None:
    bot = Diary()
    assert bot.start() == []
    commands = bot.hear(fill(5, wallet_atoms=9))
    assert bot.told == ["start", "Fill", ("fill", 5, 9)]
    assert commands == [CancelAll(account=7), Deposit(account=7, amount_atoms=5)]
    assert bot.take_commands() == [], "what was taken is not wanted again"


def test_both_legs_of_a_hedged_account_are_held() -> None:
    bot = Diary()
    bot.hear(fill(5, leg=1))
    bot.hear(fill(-2, leg=2))
    assert bot.held_lots(1) == 3


def test_a_refusal_ends_a_bot_that_has_nothing_to_say_to_it() -> None:
    refused = RequestRefused("overloaded", "too much to do")
    with pytest.raises(RequestRefused, match="overloaded"):
        Diary().refuse([CancelAll()], refused)

    class Patient(Bot):
        def on_refused(self, commands: Any, refused: RequestRefused) -> None:
            self.do(*commands)

    assert Patient(7).refuse([CancelAll(account=7)], refused) == [CancelAll(account=7)]


def test_what_it_did_for_another_account_stays_so() -> None:
    class Desk(Bot):
        def on_timer(self) -> None:
            self.do(Deposit(account=8, amount_atoms=1), Deposit(amount_atoms=2))
            self.finish()

    desk = Desk(7)
    wanted: list[Command] = desk.tick()
    assert [command.account for command in wanted] == [8, 7]
    assert desk.is_finished


def test_any_event_that_tells_the_wallet_is_believed() -> None:
    bot = Diary()
    bot.hear(
        BalanceChanged(account=7, sequence=1, symbol=0, leg=0, cause=0, wallet_change_atoms=3,
                       margin_change_atoms=0, wallet_atoms=30, margin_atoms=0)
    )  # fmt: skip
    assert bot.wallet_atoms == 30
