"""``exchange replay JOURNAL --with POLICY.toml``: what would have become of it under another policy."""

from __future__ import annotations

import argparse
from pathlib import Path

from exchange.counterfactual.outcome import as_json
from exchange.counterfactual.policy import load_policy_file
from exchange.counterfactual.run import CHANGED, run
from exchange.counterfactual.show import as_text
from exchange.counterfactual.survey import read_survey
from exchange.errors import ExchangeError
from exchange.explain.source import Source
from exchange.journal import Durability, Journal
from exchange.protocol.records import count_records
from exchange.recovery import Say
from exchange.segments import segment_paths


def compare(options: argparse.Namespace, say: Say) -> str:
    """Runs both worlds and returns what is printed."""
    if options.top < 0:
        raise ExchangeError(f"--top is {options.top}; wanted 0 or more")
    if options.plot is not None:
        from exchange.counterfactual.picture import require_drawing

        require_drawing(options.plot)  # before the work, not after it
    source = Source.open(options.journal)
    survey = read_survey(source, lambda text: None)
    policy = load_policy_file(options.policy, survey, source.fund_names)
    keeper = Keeper(options.keep) if options.keep is not None else None
    try:
        outcome, curves = run(
            source,
            policy,
            survey,
            engine_kind=options.engine,
            verify=options.verify,
            top=options.top,
            snapshots=options.journal / "snapshots",
            say=say,
            listen=keeper.listen if keeper is not None else None,
        )
    finally:
        if keeper is not None:
            keeper.close()
    if options.plot is not None:
        from exchange.counterfactual.picture import draw

        draw(outcome, curves, options.plot, options.policy.name)
        say(f"drawn: {options.plot}")
    return as_json(outcome) if options.json else as_text(outcome, options.policy.name)


class Keeper:
    """Writes the changed world's journal while it comes about."""

    def __init__(self, folder: Path) -> None:
        if folder.exists() and segment_paths(folder):
            raise ExchangeError(f"--keep {folder}: there is a journal already; name another folder")
        self._journal = Journal(folder, durability=Durability.OFF)
        self._next = 1

    def listen(self, world: str, commands: bytes, events: bytes) -> None:
        if world == CHANGED:
            count = count_records(commands)
            self._journal.append(commands, self._next, count)
            self._next += count

    def close(self) -> None:
        self._journal.close()
