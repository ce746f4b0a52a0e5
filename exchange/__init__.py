"""A perpetual-futures exchange: deterministic matching and margin core, journal, gateway, clients.

Everything a user needs is here, by name::

    Client, AsyncClient         trade: place, cancel, amend, margin, account, own events, market data, book mirror
    Bot, run_bot                a trader with a mind of its own, on a node or in a simulation
    AdminClient, AsyncAdminClient   operate: list symbols, set marks, settle funding, feed insurance funds
    Rejected, ExchangeError ... what goes wrong; the tree is drawn in ``exchange.errors``
    SymbolUnits, to_atoms ...   human decimals to the engine's integers and back (``exchange.units``)
    Fill, OrderRested, Trade ...    events and market data, as a bot gets them
    SymbolPolicy, load_policy   a symbol's numbers as an operator writes them (``exchange.risk``)
    create_engine, Engine       the core itself: batches of commands in, events out (``exchange.engine``)
    Config, load_config, Node   the exchange as a process: what ``exchange serve`` runs
    Auditor                     the invariants, checked from events alone (``exchange.audit``)

And the rooms behind it: ``protocol`` (bytes and meaning: commands, events, codes), ``gateway`` (sockets), ``client``,
``risk`` (policy), ``reference`` (the specification that runs), ``sim`` (scenarios, the demo), ``fuzz``.  The modules
``sequencer``, ``journal``, ``engine`` and ``node`` are the way of a command; ``segments``, ``snapshot``, ``recovery``,
``bootstrap`` and ``replay`` are the way back from the disk; ``counterfactual`` replays under another policy.

>>> import exchange
>>> exchange.create_engine("reference").sequence
0
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exchange.audit import Auditor
    from exchange.client import (
        AdminClient,
        AsyncAdminClient,
        AsyncClient,
        BookDelta,
        Bookmark,
        BookMirror,
        BookSnapshot,
        Bot,
        BotRunner,
        Client,
        ClientTimeout,
        EventsMissed,
        ListResult,
        NotLoggedIn,
        NotSent,
        OrderAction,
        OrderChange,
        OrderMirror,
        OrderResult,
        OrdersDelta,
        OrdersSnapshot,
        OrderStatus,
        OutcomeUnknown,
        QueuedOrder,
        RequestRefused,
        RetryLater,
        SessionLost,
        SessionOptions,
        Statistics,
        TopOfBook,
        Trade,
        run_bot,
    )
    from exchange.config import Config, load_config
    from exchange.engine import Engine, create_engine
    from exchange.errors import (
        ConfigError,
        DuplicateClientOrderId,
        ExchangeError,
        InsufficientMargin,
        LeverageTooHigh,
        PolicyError,
        PoolLiquidating,
        PostOnlyWouldTake,
        ReduceOnlyWouldOpen,
        Rejected,
        SymbolStateForbids,
        TriggerAlreadyTrue,
        UnitsError,
        UnknownOrder,
        UnknownSymbol,
        WithdrawalsStopped,
    )
    from exchange.node import Node
    from exchange.protocol.messages import (
        Accepted,
        AuctionIndicated,
        AuctionUncrossed,
        BalanceChanged,
        BracketsChanged,
        CancelReason,
        CountdownSet,
        DeficitUncovered,
        EntryAccepted,
        EntryRejected,
        Fill,
        FillRole,
        FundChanged,
        FundingSettled,
        LiquidationEnded,
        LiquidationOrder,
        LiquidationSettled,
        LiquidationStarted,
        ListMode,
        ListSymbol,
        MarginMode,
        MarginModeChanged,
        MarginWarning,
        MarginWarningsSet,
        MarkChanged,
        OrderAmended,
        OrderCancelled,
        OrderEntry,
        OrderFlag,
        OrderPlace,
        OrderReduced,
        OrderRested,
        OrderShown,
        OrderTriggered,
        OrderType,
        OrderWaiting,
        PlaceOrder,
        PlaceOrders,
        RejectReason,
        RiskLimitsChanged,
        SelfTradePrevention,
        Side,
        StpGroupSet,
        SymbolState,
        SymbolStateChanged,
        TimeInForce,
        TriggerBy,
    )
    from exchange.risk import SymbolPolicy, load_policy
    from exchange.segments import JournalError
    from exchange.units import SymbolUnits, from_atoms, from_ppm, to_atoms, to_ppm

#: module -> the public names that it gives; imported when they are first asked for, so that a bot does not pay for a
#: node, nor a node for a client.
_NAMES: dict[str, str] = {
    "exchange.audit": "Auditor",
    "exchange.client": "AdminClient AsyncAdminClient AsyncClient BookDelta BookMirror BookSnapshot Bookmark Bot"
    " BotRunner Client ClientTimeout EventsMissed ListResult NotLoggedIn NotSent OrderAction"
    " OrderChange OrderMirror OrderResult OrderStatus OrdersDelta OrdersSnapshot OutcomeUnknown"
    " QueuedOrder RequestRefused RetryLater SessionLost SessionOptions Statistics TopOfBook Trade"
    " run_bot",
    "exchange.config": "Config load_config",
    "exchange.engine": "Engine create_engine",
    "exchange.errors": "ConfigError DuplicateClientOrderId ExchangeError InsufficientMargin LeverageTooHigh PolicyError"
    " PoolLiquidating PostOnlyWouldTake ReduceOnlyWouldOpen Rejected SymbolStateForbids"
    " TriggerAlreadyTrue UnitsError UnknownOrder UnknownSymbol WithdrawalsStopped",
    "exchange.segments": "JournalError",
    "exchange.node": "Node",
    "exchange.protocol.messages": "Accepted AuctionIndicated AuctionUncrossed BalanceChanged BracketsChanged"
    " CancelReason CountdownSet DeficitUncovered EntryAccepted EntryRejected Fill FillRole"
    " FundChanged FundingSettled LiquidationEnded LiquidationOrder LiquidationSettled"
    " LiquidationStarted ListMode ListSymbol MarginMode MarginModeChanged MarginWarning MarginWarningsSet MarkChanged"
    " OrderAmended OrderCancelled OrderEntry OrderFlag OrderPlace OrderReduced OrderRested"
    " OrderShown OrderTriggered OrderType OrderWaiting PlaceOrder PlaceOrders RejectReason"
    " RiskLimitsChanged SelfTradePrevention Side StpGroupSet SymbolState"
    " SymbolStateChanged TimeInForce TriggerBy",
    "exchange.risk": "SymbolPolicy load_policy",
    "exchange.units": "SymbolUnits from_atoms from_ppm to_atoms to_ppm",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "Accepted",
    "AdminClient",
    "AsyncAdminClient",
    "AsyncClient",
    "AuctionIndicated",
    "AuctionUncrossed",
    "Auditor",
    "BalanceChanged",
    "BookDelta",
    "BookMirror",
    "BookSnapshot",
    "Bookmark",
    "Bot",
    "BotRunner",
    "BracketsChanged",
    "CancelReason",
    "Client",
    "ClientTimeout",
    "Config",
    "ConfigError",
    "CountdownSet",
    "DeficitUncovered",
    "DuplicateClientOrderId",
    "Engine",
    "EntryAccepted",
    "EntryRejected",
    "EventsMissed",
    "ExchangeError",
    "Fill",
    "FillRole",
    "FundChanged",
    "FundingSettled",
    "InsufficientMargin",
    "JournalError",
    "LeverageTooHigh",
    "LiquidationEnded",
    "LiquidationOrder",
    "LiquidationSettled",
    "LiquidationStarted",
    "ListMode",
    "ListResult",
    "ListSymbol",
    "MarginMode",
    "MarginModeChanged",
    "MarginWarning",
    "MarginWarningsSet",
    "MarkChanged",
    "Node",
    "NotLoggedIn",
    "NotSent",
    "OrderAction",
    "OrderAmended",
    "OrderCancelled",
    "OrderChange",
    "OrderEntry",
    "OrderFlag",
    "OrderMirror",
    "OrderPlace",
    "OrderReduced",
    "OrderRested",
    "OrderResult",
    "OrderShown",
    "OrderStatus",
    "OrderTriggered",
    "OrderType",
    "OrderWaiting",
    "OrdersDelta",
    "OrdersSnapshot",
    "OutcomeUnknown",
    "PlaceOrder",
    "PlaceOrders",
    "PolicyError",
    "PoolLiquidating",
    "PostOnlyWouldTake",
    "QueuedOrder",
    "ReduceOnlyWouldOpen",
    "RejectReason",
    "Rejected",
    "RequestRefused",
    "RetryLater",
    "RiskLimitsChanged",
    "SelfTradePrevention",
    "SessionLost",
    "SessionOptions",
    "Side",
    "Statistics",
    "StpGroupSet",
    "SymbolPolicy",
    "SymbolState",
    "SymbolStateChanged",
    "SymbolStateForbids",
    "SymbolUnits",
    "TimeInForce",
    "TopOfBook",
    "Trade",
    "TriggerAlreadyTrue",
    "TriggerBy",
    "UnitsError",
    "UnknownOrder",
    "UnknownSymbol",
    "WithdrawalsStopped",
    "__version__",
    "create_engine",
    "from_atoms",
    "from_ppm",
    "load_config",
    "load_policy",
    "run_bot",
    "to_atoms",
    "to_ppm",
]


def _version() -> str:
    try:
        return importlib.metadata.version("perpetual-exchange")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


__version__ = _version()


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'exchange' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
