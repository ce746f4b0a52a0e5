"""The errors of the exchange: four kinds that are never mixed.

::

    ExchangeError
    ├── Rejected                    an order or request that may not be: data, with a stable reason
    │   ├── InsufficientMargin, PoolLiquidating, WithdrawalsStopped, LeverageTooHigh
    │   ├── PostOnlyWouldTake, ReduceOnlyWouldOpen, TriggerAlreadyTrue, SymbolStateForbids
    │   └── UnknownOrder, UnknownSymbol, DuplicateClientOrderId
    ├── ProtocolError               bytes that mean nothing; they never reach the journal
    │   └── SequenceError           records cut short or out of sequence (also a ValueError)
    ├── UnitsError                  a number that is not a whole number of ticks, lots or atoms (also a ValueError)
    ├── PolicyError                 a symbol's policy that may not be (also a ValueError)
    ├── ConfigError                 a configuration file that may not be (also a ValueError)
    ├── ScenarioError               a scenario file that cannot be read (also a ValueError)
    ├── BuildError                  the compiled core is missing
    └── CorruptionError             our own bug: an invariant is broken, the engine stops and is replayed

What only one module raises lives with it and stands below `ExchangeError` too: ``JournalError`` in
``exchange.journal``, ``SnapshotDamaged`` in ``exchange.snapshot``, ``ClientTimeout`` in ``exchange.client``.

Messages say what was wanted, what came, and what to do about it.
"""

from __future__ import annotations

from typing import ClassVar

from exchange.protocol.schema import REJECT_PROSE, RejectReason


class ExchangeError(Exception):
    """Whatever the exchange raises on purpose."""


class ProtocolError(ExchangeError):
    """Bytes that mean nothing to the protocol."""


class SequenceError(ProtocolError, ValueError):
    """A batch of commands that is cut short or does not follow the last one applied."""


class UnitsError(ExchangeError, ValueError):
    """A price, quantity, amount or rate that is not a whole number of its smallest unit."""


class PolicyError(ExchangeError, ValueError):
    """A symbol's policy that may not be: names the field, the value and the bound."""


class ConfigError(ExchangeError, ValueError):
    """A configuration file that may not be."""


class ScenarioError(ExchangeError, ValueError):
    """A scenario file that cannot be read: names the file and the step."""


class BuildError(ExchangeError):
    """The compiled core is missing or does not load."""


class CorruptionError(ExchangeError):
    """An invariant is broken: the state can no longer be trusted."""


class Rejected(ExchangeError):
    """A command that the exchange refused: nothing changed.

    ``reason`` is the stable code to decide by, ``command`` a description of what was refused.

    >>> raise Rejected.of(RejectReason.INSUFFICIENT_MARGIN, "PlaceOrder(account=7)")
    Traceback (most recent call last):
    ...
    exchange.errors.InsufficientMargin: insufficient_margin: the collateral pool would end below its \
initial margin (PlaceOrder(account=7))
    """

    #: Reason -> the class that is raised for it; reasons without an entry raise `Rejected` itself.
    classes: ClassVar[dict[RejectReason, type[Rejected]]] = {}

    def __init__(self, reason: RejectReason | int, command: object = "") -> None:
        self.reason = RejectReason(reason)
        self.command = command
        about = f" ({command})" if command else ""
        super().__init__(f"{self.reason.name.lower()}: {REJECT_PROSE[self.reason]}{about}")

    def __init_subclass__(cls, reason: RejectReason) -> None:
        Rejected.classes[reason] = cls

    def __reduce__(self) -> tuple[type[Rejected], tuple[RejectReason, object]]:
        return type(self), (self.reason, self.command)

    @staticmethod
    def of(reason: RejectReason | int, command: object = "") -> Rejected:
        """The exception for a reason: the class of its own, if it has one."""
        return Rejected.classes.get(RejectReason(reason), Rejected)(reason, command)


class InsufficientMargin(Rejected, reason=RejectReason.INSUFFICIENT_MARGIN):
    """The collateral pool would end below its initial margin."""


class PoolLiquidating(Rejected, reason=RejectReason.POOL_LIQUIDATING):
    """The collateral pool is being liquidated: only the engine trades for it."""


class WithdrawalsStopped(Rejected, reason=RejectReason.WITHDRAWALS_STOPPED):
    """A deficit is uncovered: nobody withdraws until it is."""


class LeverageTooHigh(Rejected, reason=RejectReason.LEVERAGE_TOO_HIGH):
    """The initial margin rate is below what the first bracket allows."""


class PostOnlyWouldTake(Rejected, reason=RejectReason.POST_ONLY_WOULD_TAKE):
    """A post-only order would trade at once."""


class ReduceOnlyWouldOpen(Rejected, reason=RejectReason.REDUCE_ONLY_WOULD_OPEN):
    """There is no position on the other side that the order could reduce."""


class TriggerAlreadyTrue(Rejected, reason=RejectReason.TRIGGER_ALREADY_TRUE):
    """The watched price is at or beyond the trigger already."""


class SymbolStateForbids(Rejected, reason=RejectReason.SYMBOL_STATE_FORBIDS):
    """The symbol is not open, and its state does not allow this."""


class UnknownOrder(Rejected, reason=RejectReason.UNKNOWN_ORDER):
    """The account has no live order of this id."""


class UnknownSymbol(Rejected, reason=RejectReason.UNKNOWN_SYMBOL):
    """No symbol with this number is listed."""


class DuplicateClientOrderId(Rejected, reason=RejectReason.DUPLICATE_CLIENT_ORDER_ID):
    """The account has a live order with this client order id."""
