"""The sorted dictionary of sortedcontainers, with types: that package ships none."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

K = TypeVar("K")
V = TypeVar("V")

if TYPE_CHECKING:

    class SortedDict(dict[K, V]):
        """A dictionary that is walked in the order of its keys."""

        def peekitem(self, index: int = -1) -> tuple[K, V]:
            """The item at a place in the order of the keys."""

else:
    from sortedcontainers import SortedDict

__all__ = ["SortedDict"]
