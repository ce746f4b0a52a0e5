"""The journal keeps what it said was durable, cuts what it never said, and refuses what it cannot prove."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from exchange.disk import Fault, FaultKind, FaultyDisk
from exchange.journal import MIN_SEGMENT_BYTES, Durability, Journal, JournalFull
from exchange.segments import (
    SEGMENT_HEADER,
    Frame,
    JournalDamaged,
    JournalError,
    digest_notes,
    inspect,
    last_sequence,
    pack_frame,
    scan,
    segment_paths,
)

BATCH = (
    bytes(range(24)) * 2
)  # the journal never looks into a payload; two records of 24 bytes in size


def open_journal(folder: Path, **settings: object) -> Journal:
    settings = {"segment_bytes": MIN_SEGMENT_BYTES, **settings}
    return Journal(folder, **settings)  # type: ignore[arg-type]


def write_batches(folder: Path, count: int, **settings: object) -> list[bytes]:
    """Appends ``count`` different batches of two commands, each made durable on its own."""
    batches = [bytes([number % 251]) * 48 for number in range(1, count + 1)]
    journal = open_journal(folder, **settings)
    for batch in batches:
        journal.append(batch, journal.next_sequence, 2)
        journal.flush()
    journal.close()
    return batches


def payloads(folder: Path) -> list[bytes]:
    return [frame.commands for frame in scan(folder)]


@pytest.mark.parametrize("durability", list(Durability))
def test_what_was_appended_is_read_back_in_order(tmp_path: Path, durability: Durability) -> None:
    batches = write_batches(tmp_path, 5, durability=durability)
    frames = list(scan(tmp_path))
    assert [frame.commands for frame in frames] == batches
    assert [(frame.first_sequence, frame.count) for frame in frames] == [
        (1, 2),
        (3, 2),
        (5, 2),
        (7, 2),
        (9, 2),
    ]


def test_a_reopened_journal_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first = write_batches(tmp_path, 3)
    journal = open_journal(tmp_path)
    assert journal.next_sequence == 7
    assert journal.cut_bytes == 0
    journal.append(BATCH, 7, 2)
    journal.close()
    assert payloads(tmp_path) == [*first, BATCH]


def test_full_segments_roll_over_and_the_scan_crosses_them(tmp_path: Path) -> None:
    batches = write_batches(tmp_path, 120)
    assert len(segment_paths(tmp_path)) > 1
    assert payloads(tmp_path) == batches
    assert [frame.commands for frame in scan(tmp_path, 239)] == batches[-1:]
    assert [frame.commands for frame in scan(tmp_path, 200)] == batches[99:]


def test_a_batch_larger_than_a_segment_gets_a_segment_of_its_own(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    large = os.urandom(24 * 1000)
    journal.append(BATCH, 1, 2)
    journal.flush()
    journal.append(large, 3, 1000)
    journal.append(BATCH, 1003, 2)
    journal.close()
    assert b"".join(payloads(tmp_path)) == BATCH + large + BATCH


def test_always_releases_only_what_was_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_is_slow = threading.Event()
    synced: list[int] = []

    def slow_sync(file: int) -> None:
        disk_is_slow.wait(5)
        os.fsync(file)
        synced.append(file)

    monkeypatch.setattr("exchange.disk.sync_data", slow_sync)
    journal = open_journal(tmp_path)
    journal.append(BATCH, 1, 2)
    journal.append(BATCH, 3, 2)
    assert journal.released_up_to == 0
    disk_is_slow.set()
    journal.flush()
    assert journal.released_up_to == 4
    assert synced
    journal.close()


def test_batches_that_arrive_during_a_sync_share_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow_sync(file: int) -> None:
        started.set()
        go_on.wait(5)
        os.fsync(file)

    monkeypatch.setattr("exchange.disk.sync_data", slow_sync)
    journal = open_journal(tmp_path)
    journal.append(BATCH, 1, 2)
    assert started.wait(5)
    for first_sequence in range(3, 21, 2):
        journal.append(BATCH, first_sequence, 2)
    go_on.set()
    journal.close()
    assert [frame.count for frame in scan(tmp_path)] == [2, 18]


def test_interval_releases_at_once_and_syncs_soon(tmp_path: Path) -> None:
    woken = threading.Event()
    journal = open_journal(
        tmp_path, durability=Durability.INTERVAL, sync_interval_ms=5, on_release=woken.set
    )
    journal.append(BATCH, 1, 2)
    assert journal.released_up_to == 2
    for _ in range(400):
        if journal.durable_up_to == 2:
            break
        threading.Event().wait(0.005)
    assert journal.durable_up_to == 2
    journal.close()


@pytest.mark.parametrize("durability", list(Durability))
def test_nothing_is_lost_while_segments_roll_and_syncs_are_under_way(
    tmp_path: Path, durability: Durability
) -> None:
    journal = open_journal(tmp_path, durability=durability, sync_interval_ms=1)
    batches = [number.to_bytes(4, "little") * 12 for number in range(1000)]
    for number, batch in enumerate(batches):
        journal.append(batch, journal.next_sequence, 2)
        if number % 20 == 0:  # or all of them share one sync
            journal.flush()
    journal.close()
    assert len(segment_paths(tmp_path)) > 5
    assert b"".join(payloads(tmp_path)) == b"".join(batches)


def test_a_failed_sync_is_fatal_and_wakes_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_sync(file: int) -> None:
        raise OSError(5, "Input/output error")

    woken = threading.Event()
    journal = open_journal(tmp_path, on_release=woken.set)
    monkeypatch.setattr("exchange.disk.sync_data", broken_sync)
    journal.append(BATCH, 1, 2)
    assert woken.wait(5)
    with pytest.raises(JournalError, match=r"syncing the journal .* failed"):
        _ = journal.released_up_to
    with pytest.raises(JournalError):
        journal.append(BATCH, 3, 2)
    journal.close()


def test_a_failed_write_is_fatal(tmp_path: Path) -> None:
    # The first segment takes three writes: its zeros, its header, and the spare's zeros.
    disk = FaultyDisk((Fault(FaultKind.WRITE_FAILS, 4),))
    journal = open_journal(tmp_path, durability=Durability.OFF, disk=disk)
    journal._segments.close()
    with pytest.raises(JournalError, match="Input/output error"):
        journal.append(BATCH, 1, 2)
    journal.close()


@pytest.mark.parametrize("durability", list(Durability))
def test_a_short_write_is_gone_on_with(tmp_path: Path, durability: Durability) -> None:
    disk = FaultyDisk(tuple(Fault(FaultKind.WRITE_IS_SHORT, after) for after in range(1, 12)))
    batches = write_batches(tmp_path, 5, durability=durability, disk=disk)
    assert payloads(tmp_path) == batches


# ----------------------------------------------------------------------------------------- a full disk


def full_journal(folder: Path, durability: Durability) -> tuple[Journal, FaultyDisk]:
    """A journal of one segment on a disk that has no room for a second one."""
    disk = FaultyDisk(room_bytes=MIN_SEGMENT_BYTES)
    journal = open_journal(folder, durability=durability, disk=disk)
    journal._segments.close()
    assert journal.tight
    return journal, disk


def append_until_full(journal: Journal) -> int:
    """Appends batches of two commands, each durable, until one is refused; returns how many were taken."""
    for taken in range(1000):
        try:
            journal.append(BATCH, journal.next_sequence, 2)
        except JournalFull:
            return taken
        journal.flush()
    raise AssertionError("it is never full")


@pytest.mark.parametrize("durability", list(Durability))
def test_a_full_disk_refuses_what_has_no_room_and_keeps_what_was_taken(
    tmp_path: Path, durability: Durability
) -> None:
    journal, _ = full_journal(tmp_path, durability)
    taken = append_until_full(journal)
    # A frame takes 32 + 48 bytes of the 4096 - 32; the last one may be refused with a frame's head to spare.
    assert taken in (49, 50)
    assert journal.next_sequence == 2 * taken + 1
    assert journal.released_up_to == 2 * taken
    with pytest.raises(JournalFull, match=r"is full .*No space left on device"):
        journal.append(BATCH, journal.next_sequence, 2)
    journal.close()
    assert payloads(tmp_path) == [BATCH] * taken


@pytest.mark.parametrize("durability", list(Durability))
def test_a_journal_goes_on_when_the_disk_has_room_again(
    tmp_path: Path, durability: Durability
) -> None:
    journal, disk = full_journal(tmp_path, durability)
    taken = append_until_full(journal)
    disk.room_bytes = 10 * MIN_SEGMENT_BYTES
    journal.look_for_room()
    journal._segments.close()
    assert not journal.tight
    for _ in range(60):
        journal.append(BATCH, journal.next_sequence, 2)
        journal.flush()
    assert journal.released_up_to == 2 * (taken + 60)
    journal.close()
    assert payloads(tmp_path) == [BATCH] * (taken + 60)


def test_what_was_taken_before_the_disk_was_found_full_waits_and_is_written_when_there_is_room(
    tmp_path: Path,
) -> None:
    disk = FaultyDisk(room_bytes=2 * MIN_SEGMENT_BYTES)
    journal = open_journal(tmp_path, disk=disk)
    journal._segments.close()
    assert not journal.tight
    disk.room_bytes = 0
    too_large = BATCH * 200  # of 400 commands: it wants a segment of its own
    journal.append(too_large, 1, 400)
    with pytest.raises(JournalFull):
        journal.flush()
    assert journal.released_up_to == 0
    disk.room_bytes = 1 << 20
    while journal.released_up_to < 400:
        threading.Event().wait(0.01)
    journal.close()
    assert payloads(tmp_path) == [too_large]


def test_a_full_disk_does_not_keep_a_journal_from_being_closed(tmp_path: Path) -> None:
    disk = FaultyDisk(room_bytes=2 * MIN_SEGMENT_BYTES)
    journal = open_journal(tmp_path, disk=disk)
    journal.append(BATCH, 1, 2)
    journal.flush()
    journal._segments.close()
    disk.room_bytes = 0
    journal.append(BATCH * 200, 3, 400)
    with pytest.raises(JournalFull):
        journal.close()
    assert payloads(tmp_path) == [BATCH]


# ------------------------------------------------------------------------------------------------ notes


@pytest.mark.parametrize("durability", list(Durability))
def test_a_note_stands_between_the_commands_and_is_none_of_them(
    tmp_path: Path, durability: Durability
) -> None:
    digest = bytes(range(16)).hex()
    journal = open_journal(tmp_path, durability=durability)
    journal.append(BATCH, 1, 2)
    journal.flush()
    journal.note(1, digest)
    journal.append(BATCH, 3, 2)
    journal.flush()
    journal.note(4, digest[::-1])
    journal.close()
    assert list(digest_notes(tmp_path)) == [(1, digest), (4, digest[::-1])]
    assert payloads(tmp_path) == [BATCH, BATCH]
    assert last_sequence(tmp_path) == 4
    assert [segment.next_sequence for segment in inspect(tmp_path)] == [5]
    again = open_journal(tmp_path)
    assert (again.next_sequence, again.cut_bytes) == (5, 0)
    again.append(BATCH, 5, 2)
    again.close()
    assert len(list(digest_notes(tmp_path))) == 2
    assert payloads(tmp_path) == [BATCH] * 3


def test_a_gap_in_the_sequence_is_refused(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    with pytest.raises(JournalError, match="wants a batch from sequence 1, got 2 from 5"):
        journal.append(BATCH, 5, 2)
    journal.close()


def test_two_nodes_cannot_share_a_journal(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    with pytest.raises(JournalError, match=f"in use by process {os.getpid()}"):
        open_journal(tmp_path)
    journal.close()
    open_journal(tmp_path).close()


# ------------------------------------------------------------------------------------------- torn tails


def test_a_tail_torn_at_any_byte_is_cut_and_nothing_before_it_is_lost(tmp_path: Path) -> None:
    """The last frame written up to every possible byte, as a crash in the middle of a write leaves it."""
    batches = write_batches(tmp_path / "whole", 3)
    (path,) = segment_paths(tmp_path / "whole")
    whole = path.read_bytes()
    frames = list(scan(tmp_path / "whole"))
    ends = whole.rstrip(b"\0")
    for torn_at in range(frames[-1].offset, len(ends)):
        folder = tmp_path / f"torn-{torn_at}"
        folder.mkdir()
        (folder / path.name).write_bytes(whole[:torn_at] + bytes(len(whole) - torn_at))
        journal = open_journal(folder)
        assert journal.next_sequence == 5, f"torn at byte {torn_at}"
        journal.append(BATCH, 5, 2)
        journal.close()
        assert payloads(folder) == [*batches[:2], BATCH], f"torn at byte {torn_at}"


def test_a_file_that_ends_early_at_any_byte_is_cut_to_its_whole_frames(tmp_path: Path) -> None:
    batches = write_batches(tmp_path / "whole", 3)
    (path,) = segment_paths(tmp_path / "whole")
    whole = path.read_bytes()
    ends = [frame.offset for frame in scan(tmp_path / "whole")][1:] + [len(whole.rstrip(b"\0"))]
    for length in range(SEGMENT_HEADER.size, ends[-1]):
        folder = tmp_path / f"short-{length}"
        folder.mkdir()
        (folder / path.name).write_bytes(whole[:length])
        journal = open_journal(folder)
        journal.close()
        assert payloads(folder) == batches[: sum(end <= length for end in ends)], (
            f"ends at byte {length}"
        )
        assert (folder / path.name).stat().st_size == len(whole)


def test_the_cut_leaves_no_bytes_that_could_come_back(tmp_path: Path) -> None:
    write_batches(tmp_path, 2)
    (path,) = segment_paths(tmp_path)
    data = bytearray(path.read_bytes())
    end = len(data.rstrip(b"\0"))
    data[end : end + 100] = b"\xee" * 100
    path.write_bytes(data)
    journal = open_journal(tmp_path)
    assert journal.cut_bytes == 100
    journal.close()
    assert not any(path.read_bytes()[end:])


def test_a_snapshot_that_is_ahead_of_the_journal_proves_damage(tmp_path: Path) -> None:
    write_batches(tmp_path, 2)
    with pytest.raises(
        JournalDamaged, match="command 5 should be, and a snapshot says that 6 was durable"
    ):
        open_journal(tmp_path, durable_sequence=6)
    with pytest.raises(JournalDamaged, match="no journal, but a snapshot"):
        open_journal(tmp_path / "empty", durable_sequence=6)


# --------------------------------------------------------------------------------------------- bit flips


def test_a_flipped_bit_never_changes_what_is_read(tmp_path: Path) -> None:
    """Every byte of a small journal, one bit wrong: it is damage, or the last frame that is cut as a tail."""
    batches = write_batches(tmp_path / "whole", 3)
    (path,) = segment_paths(tmp_path / "whole")
    whole = path.read_bytes()
    last = list(scan(tmp_path / "whole"))[-1].offset
    folder = tmp_path / "flipped"
    folder.mkdir()
    for at in range(len(whole.rstrip(b"\0"))):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << (at % 8)
        (folder / path.name).write_bytes(flipped)
        if at < last:
            with pytest.raises(JournalDamaged):
                list(scan(folder))
            with pytest.raises(JournalDamaged):
                open_journal(folder)
            assert (folder / path.name).read_bytes() == flipped, "damage must be left as it is"
        else:
            assert payloads(folder) == batches[:2]


def test_damage_names_the_file_the_byte_and_the_command(tmp_path: Path) -> None:
    write_batches(tmp_path, 3)
    (path,) = segment_paths(tmp_path)
    second = list(scan(tmp_path))[1]
    data = bytearray(path.read_bytes())
    data[second.offset + 40] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        JournalDamaged,
        match=rf"{path.name}: a frame fails its checksum at byte {second.offset}, where command 3",
    ):
        list(scan(tmp_path))


def test_damage_in_an_earlier_segment_is_found_although_its_tail_could_be_torn(
    tmp_path: Path,
) -> None:
    write_batches(tmp_path, 120)
    first, second = segment_paths(tmp_path)[:2]
    frames = [frame for frame in scan(tmp_path) if frame.path == first]
    data = bytearray(first.read_bytes())
    data[frames[-1].offset + 40] ^= 1
    first.write_bytes(data)
    with pytest.raises(JournalDamaged, match=f"the next segment starts at {int(second.stem)}"):
        list(scan(tmp_path))


def test_a_missing_segment_is_damage(tmp_path: Path) -> None:
    write_batches(tmp_path, 200)
    segment_paths(tmp_path)[1].unlink()
    with pytest.raises(JournalDamaged, match="the next segment starts at"):
        list(scan(tmp_path))


def test_frames_lost_out_of_order_before_a_sync_are_a_tail(tmp_path: Path) -> None:
    """Under ``interval`` a machine may lose an early frame and keep a later one, neither of them ever synced."""
    write_batches(tmp_path, 2)
    (path,) = segment_paths(tmp_path)
    data = bytearray(path.read_bytes())
    end = len(data.rstrip(b"\0"))
    lost = len(pack_frame(BATCH, 2, 5, 4))
    kept = pack_frame(BATCH, 2, 7, 4)
    data[end + lost : end + lost + len(kept)] = kept
    path.write_bytes(data)
    journal = open_journal(tmp_path)
    assert journal.next_sequence == 5
    journal.close()


def test_a_frame_forged_inside_a_payload_is_no_proof(tmp_path: Path) -> None:
    """Clients choose bytes of the payload: a whole frame among them must not turn a torn tail into damage."""
    write_batches(tmp_path, 1)
    (path,) = segment_paths(tmp_path)
    data = bytearray(path.read_bytes())
    end = len(data.rstrip(b"\0"))
    forged = pack_frame(b"x" * 24, 1, 1 << 50, (1 << 50) - 1)
    torn = pack_frame(forged + bytes(24), 1, 3, 2)
    data[end : end + len(torn)] = torn
    data[end + len(torn) - 1] ^= 1
    path.write_bytes(data)
    assert len(payloads(tmp_path)) == 1


# ----------------------------------------------------------------------------------------------- inspect


def test_inspect_tells_segments_sequences_and_damage(tmp_path: Path) -> None:
    write_batches(tmp_path, 120)
    whole = inspect(tmp_path)
    assert [segment.problem for segment in whole] == [""] * len(whole)
    assert whole[0].first_sequence == 1
    assert [a.next_sequence for a in whole[:-1]] == [b.first_sequence for b in whole[1:]]
    assert whole[-1].next_sequence == 241
    assert last_sequence(tmp_path) == 240
    assert last_sequence(tmp_path / "nothing") == 0
    path = segment_paths(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[SEGMENT_HEADER.size + 10] ^= 1
    path.write_bytes(data)
    damaged = inspect(tmp_path)[0]
    assert damaged.problem != ""
    assert damaged.frame_count == 0


def test_inspect_survives_a_damaged_header(tmp_path: Path) -> None:
    write_batches(tmp_path, 1)
    (path,) = segment_paths(tmp_path)
    path.write_bytes(b"NOTPERPS" + path.read_bytes()[8:])
    assert "not a journal segment" in inspect(tmp_path)[0].problem


def test_another_format_version_is_refused(tmp_path: Path) -> None:
    write_batches(tmp_path, 1)
    (path,) = segment_paths(tmp_path)
    data = bytearray(path.read_bytes())
    data[8] = 9
    path.write_bytes(data)
    with pytest.raises(JournalDamaged, match="journal format 9, this program reads format 1"):
        open_journal(tmp_path)


def test_the_last_sequence_of_a_frame_counts_its_commands() -> None:
    assert Frame(11, 5, b"", 10, Path("x"), 32).last_sequence == 15
