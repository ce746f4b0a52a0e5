"""A snapshot written by a forked child, so that trading waits only for the fork.

Theory of operation.  The child has the memory of the moment of the fork, whatever the parent changes later: the kernel
copies a page when one of the two writes to it.  It makes the snapshot, writes and syncs it, and is gone; it touches
nothing else of the process - its copies of sockets, of the journal and of the folder's lock are closed first, so that
they end with the parent.  Of what it has to say it writes a line into a pipe: the path of the snapshot, or what went
wrong.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import msgspec

MAX_WORDS_BYTES = 4096
LESS_URGENT = 10  # by how much: where cores are few, those who trade come first


class Finished(msgspec.Struct, frozen=True):
    """How a child ended: where the snapshot is, or why there is none."""

    path: Path | None
    problem: str = ""


class BackgroundSnapshot:
    """Writes snapshots in the background, one at a time.

    ``write`` makes and writes the snapshot of now and returns its path; it runs in the child.
    """

    def __init__(self, write: Callable[[], Path]) -> None:
        self._write = write
        self._child = 0
        self._words = -1

    @property
    def busy(self) -> bool:
        return self._child != 0

    def start(self) -> None:
        """Forks.  Returns at once; raises OSError where the system gives no process."""
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            with warnings.catch_warnings():
                # The child runs nothing of the other threads: what they hold locked is of no use to it.
                warnings.simplefilter("ignore", DeprecationWarning)
                child = os.fork()
        except BaseException:
            os.close(reading)
            os.close(writing)
            raise
        if child == 0:
            self._run_child(writing)
        os.close(writing)
        self._child, self._words = child, reading

    def poll(self, *, wait: bool = False) -> Finished | None:
        """How the child ended, once; None while it writes, or if there is none."""
        if not self._child:
            return None
        ended, status = os.waitpid(self._child, 0 if wait else os.WNOHANG)
        if not ended:
            return None
        words = os.read(self._words, MAX_WORDS_BYTES).decode("utf-8", "replace")
        os.close(self._words)
        self._child, self._words = 0, -1
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            return Finished(Path(words))
        return Finished(None, words or f"the process that wrote it was ended by signal {-code}")

    def abandon(self) -> None:
        """Ends a child that still writes, and waits for its end."""
        if self._child:
            os.kill(self._child, signal.SIGKILL)
            self.poll(wait=True)

    def _run_child(self, writing: int) -> None:
        """The child's whole life; it never returns, whatever happens."""
        code = 1
        try:
            keep_only(writing)
            os.nice(LESS_URGENT)
            try:
                words, code = str(self._write()), 0
            except BaseException as error:
                words = f"{type(error).__name__}: {error}"
            os.write(writing, words.encode()[:MAX_WORDS_BYTES])
        finally:
            os._exit(code)


def keep_only(file: int) -> None:
    """Closes all files of this process but the standard ones and this one."""
    os.closerange(3, file)
    os.closerange(file + 1, max(os.sysconf("SC_OPEN_MAX"), file + 1))
