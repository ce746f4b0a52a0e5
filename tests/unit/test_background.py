"""A snapshot in the background is of the moment it was started, and whoever started it goes on."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from exchange.background import BackgroundSnapshot
from exchange.engine import create_engine
from exchange.protocol.messages import Deposit
from exchange.protocol.records import encode_commands, stamp
from exchange.recovery import take_engine_snapshot
from exchange.snapshot import load_snapshot, write_snapshot


def test_it_holds_the_state_of_its_start_though_the_engine_went_on(tmp_path: Path) -> None:
    engine = create_engine("native")
    engine.apply(stamp(encode_commands([Deposit(account=1, amount_atoms=500)]), 1, 1))
    at_start = engine.digest()
    go_on = tmp_path / "go-on"

    def write() -> Path:
        while not go_on.exists():
            os.sched_yield()
        return write_snapshot(tmp_path, take_engine_snapshot(engine))

    background = BackgroundSnapshot(write)
    background.start()
    assert background.busy
    engine.apply(stamp(encode_commands([Deposit(account=1, amount_atoms=7)]), 2, 2))
    go_on.touch()
    finished = background.poll(wait=True)
    assert finished is not None and finished.path is not None
    snapshot = load_snapshot(finished.path)
    assert (snapshot.sequence, snapshot.digest) == (1, at_start)
    assert engine.digest() != at_start
    assert not background.busy and background.poll() is None


def test_what_went_wrong_in_the_child_is_told(tmp_path: Path) -> None:
    def write() -> Path:
        raise OSError(28, "No space left on device")

    background = BackgroundSnapshot(write)
    background.start()
    finished = background.poll(wait=True)
    assert finished is not None
    assert finished.path is None
    assert finished.problem == "OSError: [Errno 28] No space left on device"


def test_a_child_that_is_killed_is_told(tmp_path: Path) -> None:
    background = BackgroundSnapshot(lambda: (os.kill(os.getpid(), 9), tmp_path)[1])
    background.start()
    finished = background.poll(wait=True)
    assert finished is not None
    assert finished.problem == "the process that wrote it was ended by signal 9"


def test_the_child_keeps_no_lock_of_its_parent(tmp_path: Path) -> None:
    """Else a node that was killed while it wrote a snapshot could not be started again until that was done."""
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    reading, writing = os.pipe()
    started = tmp_path / "started"
    go_on = tmp_path / "go-on"

    def write() -> Path:
        started.touch()
        while not go_on.exists():
            os.sched_yield()
        return tmp_path

    background = BackgroundSnapshot(write)
    background.start()
    while not started.exists():
        os.sched_yield()
    os.close(lock)  # as the end of the parent would
    again = os.open(tmp_path / "lock", os.O_RDWR)
    fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(writing)
    assert os.read(reading, 1) == b""  # nobody else has the other end any more
    os.close(reading)
    os.close(again)
    go_on.touch()
    finished = background.poll(wait=True)
    assert finished is not None and finished.path == tmp_path


@pytest.mark.parametrize("threads", [8])
def test_other_threads_at_work_do_not_stop_it(tmp_path: Path, threads: int) -> None:
    engine = create_engine("native")
    engine.apply(stamp(encode_commands([Deposit(account=1, amount_atoms=500)]), 1, 1))
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            bytes(4096)
            bytearray(1 << 20)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(20):
            background = BackgroundSnapshot(
                lambda: write_snapshot(tmp_path, take_engine_snapshot(engine))
            )
            background.start()
            finished = background.poll(wait=True)
            assert finished is not None and finished.path is not None, finished
    finally:
        done.set()
        for worker in workers:
            worker.join()
    assert load_snapshot(finished.path).digest == engine.digest()
