"""What is counted is the same in C, in Python and by hand."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from exchange.engine import create_engine
from exchange.fuzz.differ import run_generated
from exchange.ops import counters as slots
from exchange.ops.counters import COUNTER_SLOTS, MARK_TIMES, SYNC, Counters, Laps
from exchange.protocol.messages import (
    AdlRanked,
    DeficitUncovered,
    EntryRejected,
    Fill,
    MarkChanged,
    Rejected,
)
from exchange.protocol.records import decode_events, encode_event, load_native, stamp
from exchange.protocol.schema import FillRole

TABLE = (Path(__file__).parents[2] / "native" / "counters.pxd").read_text()


@cache
def adversarial(seed: int) -> tuple[bytes, bytes]:
    """A stream that liquidates and deleverages, and the events that it comes to."""
    records, failure = run_generated(seed, 1500, ("native",))
    assert failure is None
    commands = b"".join(stamp(record, at, at) for at, record in enumerate(records, 1))
    return commands, create_engine().apply(commands)


def test_the_compiled_loop_has_the_same_table() -> None:
    table = dict(re.findall(r"^    ([A-Z_]+) = (\d+)", TABLE, re.MULTILINE))
    ours = {name: getattr(slots, name) for name in table}
    assert ours == {name: int(number) for name, number in table.items()}
    assert len(table) > 25


def test_no_two_counters_share_a_slot() -> None:
    sizes = {name: 1 for name in vars(slots) if re.match(r"COUNT_[A-Z_]+$", name)}
    sizes |= dict.fromkeys(("COUNT_MESSAGES", "COUNT_REJECTS"), 256)
    sizes |= {"COUNT_REFUSALS": 64, "COUNT_FILLS": 8, "COUNT_FILL_VALUES": 16, "MARK_TIMES": 1024}
    sizes |= dict.fromkeys(("COUNT_DEFICITS", "COUNT_HAIRCUTS"), 2)
    histograms = ("ROUND_COMMANDS", "SYNC", *(f"STAGE_{name.upper()}" for name in slots.STAGES))
    sizes |= dict.fromkeys(histograms, slots.HISTOGRAM_SLOTS)
    taken = Counter(
        getattr(slots, name) + place for name, size in sizes.items() for place in range(size)
    )
    assert max(taken.values()) == 1
    assert max(taken) < COUNTER_SLOTS


@pytest.mark.parametrize("seed", [1, 2, 3, 5, 8])
def test_python_and_c_count_the_same(seed: int) -> None:
    commands, events = adversarial(seed)
    compiled, plain = Counters(), Counters()
    compiled.count_batch(commands, events, 5)
    plain.count_batch_python(commands, events, 5)
    assert load_native() is not None
    assert compiled.slots == plain.slots


def test_events_are_counted_by_type_role_and_reason() -> None:
    commands, events = adversarial(1)
    counters = Counters()
    counters.count_batch(commands, events, 5)
    decoded = decode_events(events)
    by_type = Counter(type(event).number for event in decoded)
    assert {n: counters[slots.COUNT_MESSAGES + n] for n in by_type} == by_type
    assert sum(counters.messages(sender_is_engine=True).values()) == len(decoded)
    assert sum(counters.messages(sender_is_engine=False).values()) == 1500
    values: Counter[int] = Counter()
    for event in decoded:
        if isinstance(event, Fill):
            values[event.role] += event.value_atoms
    assert len(values) >= 3
    for role in FillRole:
        assert counters.amount_atoms(slots.COUNT_FILL_VALUES + 2 * role) == values[role]
    reasons = Counter(e.reason for e in decoded if isinstance(e, Rejected | EntryRejected))
    assert {r: counters[slots.COUNT_REJECTS + r] for r in reasons} == reasons


def ranked(haircut_atoms: int) -> bytes:
    fields = dict.fromkeys(AdlRanked.__struct_fields__[2:], 1)
    return encode_event(AdlRanked(**{**fields, "haircut_atoms": haircut_atoms}))


def test_amounts_pass_64_bits_and_marks_have_their_time() -> None:
    deficit = encode_event(
        DeficitUncovered(symbol=1, leg=0, remaining_lots=5, shortfall_atoms=(1 << 63) - 1)
    )
    events = deficit * 3 + ranked(7) + ranked(-2)
    events += encode_event(MarkChanged(symbol=3, price_ticks=9))
    events += encode_event(MarkChanged(symbol=60_000, price_ticks=9))
    compiled, plain = Counters(), Counters()
    compiled.count_batch(b"", events, 77)
    plain.count_batch_python(b"", events, 77)
    assert compiled.slots == plain.slots
    assert plain.amount_atoms(slots.COUNT_DEFICITS) == 3 * ((1 << 63) - 1)
    assert plain.amount_atoms(slots.COUNT_HAIRCUTS) == 7
    assert [plain[MARK_TIMES + symbol] for symbol in (2, 3, 4)] == [0, 77, 0]


def test_bytes_that_are_no_records_are_not_counted() -> None:
    counters, (commands, events) = Counters(), adversarial(1)
    for given, came in ((commands[:-1], events), (commands, events[:-1]), (events, b"")):
        with pytest.raises(ValueError, match="wanted"):
            counters.count_batch(given, came, 5)


@pytest.mark.parametrize(
    ("value", "bucket"), [(0, 0), (1, 1), (2, 2), (3, 2), (1023, 10), (1024, 11), (1 << 50, 39)]
)
def test_a_histogram_counts_by_bits(value: int, bucket: int) -> None:
    counters = Counters()
    counters.observe(SYNC, value)
    assert [place for place, (_, count) in enumerate(counters.buckets(SYNC)) if count] == [bucket]
    assert counters.sum_of(SYNC) == value


def test_refusals_have_a_slot_each_as_they_come() -> None:
    counters = Counters()
    for code in ("malformed", "draining", "malformed"):
        counters.refuse(code)
    assert counters.refusals() == {"malformed": 2, "draining": 1}
    for number in range(100):
        counters.refuse(f"code {number}")
    assert counters[slots.COUNT_FILLS] == 0


def test_a_lap_ends_where_the_next_begins() -> None:
    counters = Counters()
    laps = Laps(counters)
    laps.start(0)
    laps.lap(slots.STAGE_RECEIVE)
    laps.lap(slots.STAGE_DECODE)
    times = [counters.sum_of(slots.STAGES[stage]) for stage in ("receive", "decode", "apply")]
    assert times[0] > times[1] > times[2] == 0
