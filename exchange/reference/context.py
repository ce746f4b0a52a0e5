"""What a rule that changes something is given: the state, the events, and what is still to be looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

from exchange.protocol.schema import BalanceCause, FundCause, RejectReason
from exchange.reference.containers import SortedDict
from exchange.reference.events import EventWriter
from exchange.reference.margin import is_below_maintenance
from exchange.reference.order import Order
from exchange.reference.state import NET, Pool, PoolKey, Position, State


@dataclass(slots=True)
class Context:
    """One engine at work."""

    state: State = field(default_factory=State)
    events: EventWriter = field(default_factory=EventWriter)
    queue: SortedDict[PoolKey, Pool] = field(default_factory=SortedDict)
    timestamp_ns: int = 0  # of the command that is being carried out

    def accept(
        self, command: int, account: int, *, order_id: int = 0, client_order_id: int = 0
    ) -> None:
        """The one result of a command that is carried out."""
        self.events.write_result(
            "accepted",
            account,
            timestamp_ns=self.timestamp_ns,
            command=command,
            order_id=order_id,
            client_order_id=client_order_id,
        )

    def accept_order(self, command: int, order: Order) -> None:
        """The same of a command that names one order."""
        self.accept(
            command,
            order.account,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
        )

    def reject(
        self, command: int, account: int, reason: RejectReason, client_order_id: int = 0
    ) -> None:
        """The one result of a command that is refused."""
        self.events.write_result(
            "rejected",
            account,
            timestamp_ns=self.timestamp_ns,
            command=command,
            reason=reason,
            client_order_id=client_order_id,
        )

    def check(self, pool: Pool) -> None:
        """LIQ, check of a pool: flagged or below maintenance, it joins the queue, once.

        A pool that is being liquidated is still in the queue: its own fills do not bring it back.
        """
        if pool.liquidating or is_below_maintenance(self.state, pool):
            self.queue[pool.key] = pool

    def check_after_fill(self, position: Position) -> None:
        """Step 5 of the loop: a fill of an isolated position moves the wallet too, so both pools are checked."""
        self.check(position.pool)
        self.check(position.owner.cross)

    def write_balance(
        self,
        account: int,
        cause: BalanceCause,
        *,
        position: Position | None = None,
        wallet_change: int = 0,
        margin_change: int = 0,
    ) -> None:
        """Says that money of an account moved; it has moved already."""
        self.events.write(
            "balance_changed",
            account,
            symbol=position.symbol.number if position else 0,
            leg=position.leg if position else NET,
            cause=cause,
            wallet_change_atoms=wallet_change,
            margin_change_atoms=margin_change,
            wallet_atoms=self.state.account(account).cross.balance_atoms,
            margin_atoms=position.isolated.balance_atoms if position else 0,
        )

    def change_fund(self, fund: int, symbol: int, cause: FundCause, change_atoms: int) -> None:
        """FUND-01: moves a fund and says so; a fund is nobody's, so the event carries account 0."""
        balance = self.state.change_fund(fund, change_atoms)
        self.events.write(
            "fund_changed",
            0,
            fund=fund,
            symbol=symbol,
            cause=cause,
            change_atoms=change_atoms,
            balance_atoms=balance,
        )
