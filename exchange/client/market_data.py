"""What a subscriber gets, as typed objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias, TypedDict

import msgspec

from exchange.gateway import feed
from exchange.gateway.feed import BookDelta, OrdersDelta, Published, Statistics, TopOfBook, Trade
from exchange.protocol import wire
from exchange.protocol.messages import Event

Update: TypeAlias = TopOfBook | BookDelta | OrdersDelta | Trade | Statistics | Event
Names = str | Iterable[str]

_DECODERS: dict[str, msgspec.msgpack.Decoder[Published]] = {
    kind.kind: msgspec.msgpack.Decoder(kind)
    for kind in (TopOfBook, BookDelta, OrdersDelta, Trade, Statistics)
}
_EVENT = msgspec.msgpack.Decoder(feed.PublicEvent)


def decode_published(topic: bytes, payload: bytes) -> Published:
    """One publication, with its place in the stream."""
    kind = feed.kind_of(topic.decode())
    return _DECODERS.get(kind, _EVENT).decode(payload)


def update_of(published: Published) -> Update:
    """What a publication tells: itself, or the public event that it carries."""
    if isinstance(published, feed.PublicEvent):
        ((_, event),) = wire.decode_events_wire(bytes(published.event))
        return event
    assert isinstance(published, TopOfBook | BookDelta | OrdersDelta | Trade | Statistics)
    return published


def decode_update(topic: bytes, payload: bytes) -> Update:
    """One publication: top, delta, trade, statistics, or the public event itself."""
    return update_of(decode_published(topic, payload))


class Reception:
    """Follows the sequences of a subscription's topics: nothing twice, and what was lost is counted.

    >>> reception = Reception([b"top.A"])
    >>> top = TopOfBook(epoch=1, sequence=4, engine_sequence=9, timestamp_ns=0, symbol=1, bid=None, ask=None)
    >>> payload = msgspec.msgpack.encode(top)
    >>> reception.take(b"top.A", payload) == top, reception.take(b"top.A", payload), reception.take(b"top.AB", payload)
    (True, None, None)
    >>> later = msgspec.msgpack.encode(msgspec.structs.replace(top, sequence=7))
    >>> reception.take(b"top.A", later).sequence, reception.lost
    (7, 2)
    """

    def __init__(self, topics: Iterable[bytes]) -> None:
        self._last: dict[bytes, tuple[int, int]] = dict.fromkeys(topics, (-1, -1))
        self.lost = 0  # messages that were published and did not come

    def take(self, topic: bytes, payload: bytes) -> Update | None:
        """The update in a publication; None if it is of another topic, or was there already."""
        # ZeroMQ filters by prefix: "book.BTC" also lets "book.BTC2" through.
        if topic not in self._last:
            return None
        published = decode_published(topic, payload)
        epoch, sequence = self._last[topic]
        if published.epoch == epoch:
            if published.sequence <= sequence:
                # A state that is repeated for somebody who has just come; a mirror knows what to do with a marker.
                return published if isinstance(published, BookDelta | OrdersDelta) else None
            self.lost += published.sequence - sequence - 1
        self._last[topic] = published.epoch, published.sequence
        return update_of(published)


class Topics(TypedDict, total=False):
    """What can be subscribed to; symbols by name, one or several."""

    top: Names  # best bid and offer
    book: Names  # level 2: changed levels
    orders: Names  # level 3: order by order
    trades: Names
    auction: Names  # indications and results
    state: Names  # open, halted ...
    statistics: Names  # 24 hours, open interest
    mark: Names
    funding: Names
    liquidations: bool  # of all symbols
    funds: bool  # all insurance funds
    interval_ms: int  # 10, 100 or 1000: top, book and statistics at most so often


def topics_of(
    *,
    top: Names = (),
    book: Names = (),
    orders: Names = (),
    trades: Names = (),
    auction: Names = (),
    state: Names = (),
    statistics: Names = (),
    mark: Names = (),
    funding: Names = (),
    liquidations: bool = False,
    funds: bool = False,
    interval_ms: int = 0,
) -> list[bytes]:
    """The topics of a subscription; symbols are meant by name, one or several.

    With ``interval_ms`` (10, 100 or 1000) top, book and statistics are the conflated ones.
    """
    topics = [feed.LIQUIDATIONS_TOPIC] * liquidations + [feed.FUNDS_TOPIC] * funds
    wanted = (top, book, orders, trades, auction, state, statistics, mark, funding)
    for kind, names in zip(feed.SYMBOL_KINDS, wanted, strict=True):
        listed = [names] if isinstance(names, str) else names
        conflated = interval_ms if kind in feed.CONFLATED_KINDS else 0
        topics += [feed.topic_of(feed.conflated_kind(kind, conflated), name) for name in listed]
    return [topic.encode() for topic in topics]
