"""One world: an engine with all that reads along."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from exchange.counterfactual.outcome import Standing, World
from exchange.counterfactual.tally import Follower
from exchange.engine import Engine, create_engine
from exchange.protocol.views import AssetView
from exchange.replay import ReplayDiffers, Verifier

#: Hears every batch of a world: its name, commands and events.
Listen = Callable[[str, bytes, bytes], None]
OWN = "as it was"


class Side:
    """An engine with all that reads along."""

    def __init__(self, name: str, engine_kind: str, verify: bool, listen: Listen | None) -> None:
        self.name = name
        self.engine: Engine = create_engine(engine_kind)
        self.follower = Follower()
        self.standings: dict[int, Standing] = {}
        self._assets: dict[int, AssetView] = {}
        self._verifier = Verifier() if verify else None
        self._listen = listen

    def apply(self, commands: bytes) -> tuple[bytes, list[int]]:
        """Events of a batch, and where those of each command begin, with the end behind them."""
        events = self.engine.apply(commands)
        if self._listen is not None:
            self._listen(self.name, commands, events)
        if self._verifier is not None:
            try:
                self._verifier.check(commands, events)
            except ReplayDiffers as error:
                raise ReplayDiffers(f"the world {self.name}: {error}") from None
        return events, [*self.follower.feed(events), len(events)]

    def accounts(self) -> set[int]:
        """Who has something, or ever brought something."""
        return {*self.engine.accounts(), *(account for account, _ in self.follower.brought)}

    def finish(self) -> World:
        """What the world came to; from then on ``standings`` tells where everybody ended."""
        if self._verifier is not None:
            self._verifier.check_end(self.engine)
        self._assets = {asset.asset: asset for asset in self.engine.assets()}
        self.standings = {account: self._standing(account) for account in sorted(self.accounts())}
        losses = [
            (-standing.result_atoms, self._worth(account, self.follower.brought))
            for account, standing in self.standings.items()
        ]
        return World(
            tally=self.follower.finish(),
            sequence=self.engine.sequence,
            digest=self.engine.digest(),
            fees_atoms=self.engine.fees_atoms(),
            withdrawals_stopped=self.engine.uncovered(),
            accounts_liquidated=len(self.follower.liquidated),
            accounts_lost_half=sum(lost > 0 and 2 * lost >= brought for lost, brought in losses),
            accounts_lost_all=sum(lost > 0 and lost >= brought for lost, brought in losses),
        )

    def _standing(self, account: int) -> Standing:
        """Where an account ended; collateral that came in or went out counts at its last price."""
        engine, follower = self.engine, self.follower
        money = engine.account(account).wallet_atoms + sum(
            position.margin_atoms + position.unrealised_atoms
            for position in engine.positions(account)
        )
        held = {(account, 0): money}
        if self._assets:
            held |= {(account, view.asset): view.parts for view in engine.collateral(account)}
        made = {
            key: held.get(key, 0) - follower.brought[key] + follower.taken_out[key]
            for key in ((account, asset) for asset in (0, *self._assets))
        }
        return Standing(
            self._worth(account, held), self._worth(account, made), follower.liquidated[account]
        )

    def _worth(self, account: int, amounts: Mapping[tuple[int, int], int]) -> int:
        """What an account's amounts come to: money (asset 0), and collateral at its last price."""
        worth = amounts.get((account, 0), 0)
        for number, asset in self._assets.items():
            parts = amounts.get((account, number), 0)
            worth += parts * asset.price_atoms // asset.unit_parts
        return worth
