"""The page about the gateway names every query, every refusal and every topic that there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from exchange.gateway import feed
from exchange.gateway.admin import ADMIN_DOOR
from exchange.gateway.connection import TRADERS_DOOR, Code

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "gateway.md").read_text()
QUERIES = {"login", "logout"}.union(
    *(door.public_queries | door.account_queries for door in (TRADERS_DOOR, ADMIN_DOOR))
)
TOPICS = {
    f"{topic('')}<SYMBOL>"
    for topic in (feed.book_topic, feed.trades_topic, feed.mark_topic, feed.funding_topic)
}


@pytest.mark.parametrize(
    "name", sorted(QUERIES | set(Code) | TOPICS | {feed.FUNDS_TOPIC, feed.LIQUIDATIONS_TOPIC})
)
def test_the_page_has(name: str) -> None:
    assert f"`{name}`" in PAGE
