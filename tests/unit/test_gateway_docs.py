"""The pages about gateway and market data name every query, every refusal and every topic, with its fields."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from exchange.gateway import feed
from exchange.gateway.admin import ADMIN_DOOR
from exchange.gateway.connection import SESSION_QUERIES, TRADERS_DOOR, Code

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
GATEWAY = (REFERENCE / "protocol.md").read_text()
MARKET_DATA = (REFERENCE / "market-data.md").read_text()
QUERIES = SESSION_QUERIES.union(
    *(door.public_queries | door.account_queries for door in (TRADERS_DOOR, ADMIN_DOOR))
)
TOPICS = {feed.topic_of(kind, "<SYMBOL>") for kind in feed.SYMBOL_KINDS}
SHAPES = (
    feed.TopOfBook,
    feed.BookDelta,
    feed.BookSnapshot,
    feed.OrdersDelta,
    feed.OrderChange,
    feed.OrdersSnapshot,
    feed.QueuedOrder,
    feed.Trade,
    feed.Statistics,
    feed.PublicEvent,
)


@pytest.mark.parametrize("name", sorted(QUERIES | set(Code)))
def test_the_gateways_page_has(name: str) -> None:
    assert f"`{name}`" in GATEWAY


@pytest.mark.parametrize("topic", sorted(TOPICS | {feed.FUNDS_TOPIC, feed.LIQUIDATIONS_TOPIC}))
def test_the_market_data_page_has(topic: str) -> None:
    assert f"`{topic}`" in MARKET_DATA


@pytest.mark.parametrize("shape", SHAPES)
def test_the_market_data_page_has_every_field(shape: type[msgspec.Struct]) -> None:
    missing = [f.name for f in msgspec.structs.fields(shape) if f"`{f.name}`" not in MARKET_DATA]
    assert not missing
