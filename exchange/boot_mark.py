"""Whether a node may have told of commands that are not in its journal any more.

Under durability ``interval`` and ``off`` replies leave before the disk has their commands.  As long as the machine runs
nothing is lost by that: what was written is in its memory, and a node that starts again reads it.  If the machine
crashed, commands may be gone whose events somebody was told, and their numbers are about to be given to others.

So such a node leaves a mark while it runs: the system's own name of this boot.  A clean end syncs everything and takes
the mark away.  Who finds a mark of another boot cannot know, and has to count anew.
"""

from __future__ import annotations

from pathlib import Path

from exchange.disk import Disk

FILE = "told-before-durable"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def this_boot() -> str:
    """The name of this run of the system; empty where it does not say, which is no boot that comes back."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


class BootMark:
    """The mark in a node's data folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    @property
    def is_of_another_boot(self) -> bool:
        """Whether a node did not end cleanly, and the machine may have crashed since."""
        try:
            left = self._path.read_text()
        except OSError:
            return False
        return left != this_boot() or not left

    def leave(self) -> None:
        """Leaves the mark of this boot; it is on the disk when this returns."""
        disk = Disk()
        disk.write_file(self._path, this_boot().encode())
        disk.sync_folder(self._path.parent)

    def take_away(self) -> None:
        self._path.unlink(missing_ok=True)
