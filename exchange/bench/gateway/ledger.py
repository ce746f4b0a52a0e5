"""``exchange bench gateway --kill ROUNDS``: traders and node killed with -9 under load, and what their ledgers say.

Theory of operation.  Writers (writer.py) send orders that rest and note what was acknowledged.  In each round some of
them are killed in the middle and started again, then the node is killed in the middle, then all writers.  A new
node over the same folder must have every acknowledged order, once, under the order id that was told; beside them only
orders that were sent and whose answer never came.  Writers send those again under the same client order ids.  After
the last round they come to an end, and every number that was ever sent is one order.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from exchange.bench.gateway.answers import WrongAnswer
from exchange.bench.gateway.processes import Node, Placement, Worker, stopping
from exchange.bench.gateway.writer import Ledger
from exchange.client import Client
from exchange.engine import create_engine
from exchange.recovery import journal_folder, replay
from exchange.segments import scan

Say = Callable[[str], None]
MOST_NUMBERS = 900_000  # of a writer: fewer than orders that an account may have open


class Kills(msgspec.Struct):
    """What was done and found."""

    rounds: int = 0
    nodes_killed: int = 0
    writers_killed: int = 0
    acknowledged: int = 0
    unanswered_done: int = 0  # sent, carried out, and the answer lost with a process
    lost: int = 0
    doubled: int = 0
    sequence: int = 0
    digest: str = ""


class Trial:
    """Writers with their ledgers over one node's folder."""

    def __init__(
        self,
        folder: Path,
        writers: int,
        durability: str,
        placement: Placement,
        *,
        seed: int,
        loop: str = "",
    ) -> None:
        self.folder = folder
        self.durability = durability
        self.placement = placement
        self.loop = loop
        self.accounts = list(range(1, writers + 1))
        self.kills = Kills()
        self._draw = random.Random(seed)

    def ledger_of(self, account: int) -> Path:
        return self.folder / f"account-{account}.ledger"

    def start_node(self) -> Node:
        return Node(self.folder, self.durability, self.placement, loop=self.loop)

    def start_writer(self, node: Node, account: int, most: int = MOST_NUMBERS) -> Worker:
        settings = {"account": account, "ledger": str(self.ledger_of(account)), "numbers": most}
        return Worker("writer", {**node.endpoints(), **settings, **self.placement.of_load()})

    def run(self, rounds: int, seconds: float, say: Say) -> Kills:
        """So many rounds of about ``seconds``, then the end."""
        for round_ in range(rounds):
            with stopping(node := self.start_node()):
                self.compare(node)
                self.disturb(node, seconds)
            self.kills.rounds += 1
            say(f"round {round_ + 1}: {self.kills.acknowledged:,} acknowledged so far")
        with stopping(node := self.start_node()):
            self.compare(node)
            self.finish(node)
            self.compare(node)
            status = node.admin.status()
            node.stop()
        self.check_journal(status)
        return self.kills

    def disturb(self, node: Node, seconds: float) -> None:
        """Load, with a writer killed and started again now and then; then nobody is left."""
        writers = {account: self.start_writer(node, account) for account in self.accounts}
        try:
            self.wait_for_acknowledgements()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(self._draw.uniform(0.2, 0.6) * seconds)
                account = self._draw.choice(self.accounts)
                writers[account].stop(signal.SIGKILL)
                self.kills.writers_killed += 1
                writers[account] = self.start_writer(node, account)
            node.stop(signal.SIGKILL)
            self.kills.nodes_killed += 1
        finally:
            for writer in writers.values():
                writer.stop(signal.SIGKILL)

    def wait_for_acknowledgements(self, timeout_s: float = 30) -> None:
        """Every writer is under way: a kill before that would try nothing."""
        sizes = {account: self.size_of(account) for account in self.accounts}
        end = time.monotonic() + timeout_s
        while any(self.size_of(account) <= size for account, size in sizes.items()):
            if time.monotonic() > end:
                raise WrongAnswer(f"a writer wrote nothing in {timeout_s:g} s")
            time.sleep(0.01)

    def size_of(self, account: int) -> int:
        path = self.ledger_of(account)
        return path.stat().st_size if path.exists() else 0

    def finish(self, node: Node) -> None:
        """Every writer sends again what was left open, and stops."""
        writers = []
        for account in self.accounts:
            ledger = Ledger(self.ledger_of(account))
            ledger.close()
            writers.append(self.start_writer(node, account, most=max(ledger.sent, default=0)))
        for account, writer in zip(self.accounts, writers, strict=True):
            if writer.process.wait(120):
                raise WrongAnswer(f"the writer of account {account} ended in an error")
            writer.stop()
            ledger = Ledger(self.ledger_of(account))
            ledger.close()
            if ledger.open_numbers():
                raise WrongAnswer(f"account {account}: {ledger.open_numbers()} were never answered")

    # ---- what is left

    def compare(self, node: Node) -> None:
        """The open orders of every account against its ledger."""
        self.kills.acknowledged = 0
        for account in self.accounts:
            if not self.size_of(account):
                continue
            ledger = Ledger(self.ledger_of(account))
            ledger.close()
            with Client(node.ready["orders"], account, timeout_s=60) as client:
                found = [(order.client_order_id, order.order_id) for order in client.open_orders()]
            self.compare_one(account, ledger, found)
        if self.kills.lost or self.kills.doubled:
            raise WrongAnswer(
                f"{self.kills.lost} acknowledged orders lost, {self.kills.doubled} doubled"
            )

    def compare_one(self, account: int, ledger: Ledger, found: list[tuple[int, int]]) -> None:
        counted = Counter(number for number, _ in found)
        order_ids = dict(found)
        self.kills.acknowledged += len(ledger.acknowledged)
        self.kills.doubled += sum(count - 1 for count in counted.values())
        self.kills.lost += sum(
            order_ids.get(number) != order_id for number, order_id in ledger.acknowledged.items()
        )
        self.kills.unanswered_done += len(order_ids.keys() - ledger.acknowledged.keys())
        invented = order_ids.keys() - ledger.sent
        if invented:
            raise WrongAnswer(
                f"account {account} has orders that nobody sent: {sorted(invented)[:5]}"
            )

    def check_journal(self, status: dict[str, Any]) -> None:
        """From the first command, over all kills: the state that the last node had."""
        engine = create_engine("native")
        replay(engine, scan(journal_folder(self.folder / "data")))
        if (engine.sequence, engine.digest()) != (status["sequence"], status["digest"]):
            raise WrongAnswer("the journal replayed does not end where the node ended")
        self.kills.sequence, self.kills.digest = engine.sequence, engine.digest()


def as_text(kills: Kills) -> str:
    return "\n".join(
        f"{name.replace('_', ' '):<20} {value:,}"
        if isinstance(value, int)
        else f"{name:<20} {value}"
        for name, value in msgspec.structs.asdict(kills).items()
    )
