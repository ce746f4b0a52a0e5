"""Journals to look at in two worlds: scenario files, commands written out, streams of the fuzzer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from exchange.counterfactual.outcome import Outcome
from exchange.counterfactual.policy import read_policy
from exchange.counterfactual.run import Reading, run
from exchange.counterfactual.show import CHANGED
from exchange.counterfactual.survey import read_survey
from exchange.explain.source import Source
from exchange.fuzz.differ import run_generated, time_of
from exchange.protocol.messages import Command
from exchange.protocol.records import encode_command, stamp
from exchange.segments import Frame

HERE = Path(__file__).parent


class Worlds:
    """Makes journals and runs them under a policy."""

    @staticmethod
    def story(name: str) -> Source:
        return Source.open(HERE / f"{name}.yaml")

    @staticmethod
    def fuzzed(seed: int, count: int) -> Source:
        """A stream of the fuzzer as a journal."""
        records, failure = run_generated(seed, count, ("native",), count)
        assert failure is None
        return Worlds.of_records(records, time_of)

    @staticmethod
    def of(commands: Sequence[Command]) -> Source:
        return Worlds.of_records([encode_command(command) for command in commands])

    @staticmethod
    def of_records(
        records: Sequence[bytes],
        clock: Callable[[int], int] = lambda index: index,
        frame_size: int = 0,
    ) -> Source:
        """Records as a journal; in frames of so many commands, or all in one."""
        stamped = [stamp(record, i + 1, clock(i)) for i, record in enumerate(records)]
        step = frame_size or len(stamped)
        frames = [
            Frame(i + 1, len(stamped[i : i + step]), b"".join(stamped[i : i + step]), 0, Path(), 0)
            for i in range(0, len(stamped), step)
        ]
        return Source(lambda: frames, len(stamped))

    @staticmethod
    def outcome(source: Source, tables: Mapping[str, Any], **options: Any) -> Outcome:
        survey = read_survey(source, lambda text: None)
        policy = read_policy(tables, survey, source.fund_names)
        listen = options.pop("listen", None)
        ((found, _),) = run(source, {CHANGED: policy}, survey, Reading(**options), listen=listen)
        return found


@pytest.fixture
def worlds() -> type[Worlds]:
    return Worlds
