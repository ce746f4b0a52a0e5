"""What a subscriber gets, as typed objects."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from exchange.gateway import feed
from exchange.gateway.feed import BookDelta, Trade
from exchange.protocol import wire
from exchange.protocol.messages import Event

Update = BookDelta | Trade | Event
Names = str | Iterable[str]

_DELTA = msgspec.msgpack.Decoder(BookDelta)
_TRADE = msgspec.msgpack.Decoder(Trade)


def decode_update(topic: bytes, payload: bytes) -> Update:
    """One publication: a book delta, a trade, or the public event itself."""
    if topic.startswith(b"book."):
        return _DELTA.decode(payload)
    if topic.startswith(b"trades."):
        return _TRADE.decode(payload)
    ((_, event),) = wire.decode_events_wire(payload)
    return event


def topics_of(
    *,
    book: Names = (),
    trades: Names = (),
    mark: Names = (),
    funding: Names = (),
    liquidations: bool,
    funds: bool,
) -> list[bytes]:
    """The topics of a subscription; symbols are meant by name, one or several."""
    topics = [feed.LIQUIDATIONS_TOPIC] * liquidations + [feed.FUNDS_TOPIC] * funds
    for names, topic in (
        (book, feed.book_topic),
        (trades, feed.trades_topic),
        (mark, feed.mark_topic),
        (funding, feed.funding_topic),
    ):
        topics += [topic(name) for name in ([names] if isinstance(names, str) else names)]
    return [topic.encode() for topic in topics]
