"""What is measured: settings of a node and its clients, and the loads that each is put under."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

IN_FLIGHT = 256  # orders under way at saturation
BATCHED = 64  # orders in a message, where they are batched
BATCHES_IN_FLIGHT = 16
RATES = (10_000, 50_000, 100_000, 200_000)


class Load(msgspec.Struct, frozen=True):
    """How orders are sent: at a fixed rate, or so many under way."""

    name: str
    orders_per_second: int = 0  # 0: a closed loop
    in_flight: int = 0

    def arguments(self, seconds: float, batch: int, clients: int) -> dict[str, Any]:
        """What the generator is asked for; a tenth of it is warm-up."""
        if self.orders_per_second:
            count = max(20 * clients, round(self.orders_per_second * seconds) // batch)
            return {
                "per_second": self.orders_per_second,
                "messages": count,
                "warmup": count // 10,
            }
        return {
            "in_flight": max(self.in_flight, batch * clients),
            "milliseconds": round(1000 * seconds),
            "warmup": 2 * clients,
        }


PING_PONG = Load("ping-pong", in_flight=1)
SATURATED = Load(f"saturated, {IN_FLIGHT} under way", in_flight=IN_FLIGHT)
SATURATED_BATCHES = Load(
    f"saturated, {BATCHES_IN_FLIGHT} messages under way", in_flight=BATCHED * BATCHES_IN_FLIGHT
)


def at(orders_per_second: int) -> Load:
    return Load(f"{orders_per_second:,} a second", orders_per_second=orders_per_second)


class Setting(msgspec.Struct, frozen=True):
    """One node, one echo, and the clients of each."""

    name: str
    loads: Sequence[Load]
    stream: str = "quotes"
    clients: int = 1
    batch: int = 1
    durability: str = "off"
    curve: bool = False
    subscribers: int = 0
    stalled: int = 0
    loop: str = ""  # of the node: as its configuration names it; empty: the default


#: The setting that the headline figures are of.
BASE = "one client"

SETTINGS: tuple[Setting, ...] = (
    Setting(BASE, (PING_PONG, *map(at, RATES), SATURATED)),
    Setting("64 in a message", (at(200_000), SATURATED_BATCHES), batch=BATCHED),
    Setting("16 clients", (PING_PONG, at(50_000), SATURATED), clients=16),
    Setting("64 clients", (PING_PONG, at(50_000), SATURATED), clients=64),
    Setting("durability interval", (PING_PONG, at(50_000), SATURATED), durability="interval"),
    Setting("durability always", (PING_PONG, at(50_000), SATURATED), durability="always"),
    Setting("CURVE", (PING_PONG, at(50_000), SATURATED), curve=True),
    Setting("1 subscriber", (at(50_000), SATURATED), subscribers=1),
    Setting("8 subscribers", (at(50_000), SATURATED), subscribers=8),
    Setting("a stalled subscriber", (at(50_000), SATURATED), subscribers=1, stalled=1),
    Setting("trades", (PING_PONG, at(50_000), SATURATED), stream="trades"),
    Setting("mixed", (SATURATED,), stream="mixed"),
    Setting("mixed, 50,000 a second", (at(50_000),), stream="mixed"),
    Setting("mixed, 64 in a message", (SATURATED_BATCHES,), stream="mixed", batch=BATCHED),
)


class Scale(msgspec.Struct, frozen=True):
    """How long, and how much."""

    seconds: float  # of one load, in one round
    rounds: int
    mixed_orders: int
    warmup_orders: int
    settings: Sequence[Setting] = SETTINGS


FULL = Scale(seconds=1.0, rounds=3, mixed_orders=200_000, warmup_orders=128_000)
QUICK = Scale(seconds=0.25, rounds=1, mixed_orders=10_000, warmup_orders=6_400)


def chosen(scale: Scale, names: Sequence[str]) -> Scale:
    """The same with those settings alone whose names contain one of these words.

    >>> [setting.name for setting in chosen(QUICK, ["subscribers", "curve"]).settings]
    ['CURVE', '8 subscribers']
    """
    wanted = [name.lower() for name in names]
    settings = [s for s in scale.settings if any(word in s.name.lower() for word in wanted)]
    return msgspec.structs.replace(scale, settings=settings)
