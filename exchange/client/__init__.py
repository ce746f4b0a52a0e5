"""Clients: ``Client`` (sync) and ``AsyncClient`` trade, ``AdminClient`` and ``AsyncAdminClient`` operate.

``core``, ``asks``, ``order_asks`` and ``order_builders`` are what both kinds share, without I/O; ``results`` is what
methods return, ``book_mirror`` a book that follows the market, ``market_data`` what a subscription gives.
"""

from exchange.client.aio import AsyncAdminClient, AsyncClient
from exchange.client.asks import Funds, Listed, SymbolNotListed
from exchange.client.book_mirror import BookMirror
from exchange.client.bot import Bot
from exchange.client.bot_runner import BotRunner, run_bot
from exchange.client.errors import (
    ClientTimeout,
    EventsMissed,
    NotLoggedIn,
    NotSent,
    OutcomeUnknown,
    RequestRefused,
    RetryLater,
    SessionLost,
)
from exchange.client.options import SessionOptions
from exchange.client.order_mirror import OrderMirror
from exchange.client.results import (
    CancelResult,
    CommandResult,
    ListResult,
    OrderResult,
    OrderStatus,
)
from exchange.client.stream import Bookmark
from exchange.client.sync import AdminClient, Client
from exchange.gateway.feed import (
    BookDelta,
    BookSnapshot,
    OrderAction,
    OrderChange,
    OrdersDelta,
    OrdersSnapshot,
    QueuedOrder,
    Statistics,
    TopOfBook,
    Trade,
)

__all__ = [
    "AdminClient",
    "AsyncAdminClient",
    "AsyncClient",
    "BookDelta",
    "BookMirror",
    "BookSnapshot",
    "Bookmark",
    "Bot",
    "BotRunner",
    "CancelResult",
    "Client",
    "ClientTimeout",
    "CommandResult",
    "EventsMissed",
    "Funds",
    "ListResult",
    "Listed",
    "NotLoggedIn",
    "NotSent",
    "OrderAction",
    "OrderChange",
    "OrderMirror",
    "OrderResult",
    "OrderStatus",
    "OrdersDelta",
    "OrdersSnapshot",
    "OutcomeUnknown",
    "QueuedOrder",
    "RequestRefused",
    "RetryLater",
    "SessionLost",
    "SessionOptions",
    "Statistics",
    "SymbolNotListed",
    "TopOfBook",
    "Trade",
    "run_bot",
]
