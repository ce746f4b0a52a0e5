"""``exchange replay JOURNAL --with POLICY.toml``: what would have become of it under another policy."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from exchange.counterfactual.outcome import as_json
from exchange.counterfactual.policy import load_policy_file
from exchange.counterfactual.run import Reading, run
from exchange.counterfactual.show import OWN, as_text
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
    policies = {
        name: load_policy_file(path, survey, source.fund_names)
        for name, path in by_name(options.policy).items()
    }
    keeper = Keeper(options.keep, list(policies)) if options.keep is not None else None
    reading = Reading(
        engine_kind=options.engine,
        verify=options.verify,
        top=options.top,
        snapshots=options.journal / "snapshots",
    )
    try:
        listen = keeper.listen if keeper is not None else None
        found = run(source, policies, survey, reading, say=say, listen=listen)
    finally:
        if keeper is not None:
            keeper.close()
    outcomes = [outcome for outcome, _ in found]
    if options.plot is not None:
        from exchange.counterfactual.picture import draw

        draw(outcomes, [curves for _, curves in found], options.plot)
        say(f"drawn: {options.plot}")
    return "\n".join(map(as_json, outcomes)) if options.json else as_text(outcomes)


def by_name(paths: Sequence[Path]) -> dict[str, Path]:
    """Policy files by the name of their world."""
    named: dict[str, Path] = {}
    for path in paths:
        if path.stem in (*named, OWN):
            other = named.get(path.stem, "the journal's own world")
            raise ExchangeError(
                f"--with {path}: {other} has the same name; worlds are told apart by it"
            )
        named[path.stem] = path
    return named


class Keeper:
    """Writes the journals of changed worlds while they come about: into a folder, or one for each below it."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        folders = {name: folder if len(names) == 1 else folder / name for name in names}
        for path in folders.values():
            if path.exists() and segment_paths(path):
                raise ExchangeError(
                    f"--keep {path}: there is a journal already; name another folder"
                )
        self._journals = {
            name: Journal(path, durability=Durability.OFF) for name, path in folders.items()
        }

    def listen(self, world: str, commands: bytes, events: bytes) -> None:
        journal = self._journals.get(world)
        if journal is not None:
            journal.append(commands, journal.next_sequence, count_records(commands))

    def close(self) -> None:
        for journal in self._journals.values():
            journal.close()
