"""The end of a node, told beforehand: for a while orders may be cancelled and none placed.  No I/O."""

from __future__ import annotations

NS_PER_MS, NS_PER_S = 10**6, 10**9


class Drain:
    """Whether the node is about to stop, and how long it still waits for those who trade on it.

    Needs: ``ask`` may be called from a signal handler or another thread; everything else from the loop.

    >>> drain = Drain(seconds=2)
    >>> drain.ask(), drain.begin(now_ns=0), drain.is_over(now_ns=NS_PER_S, traders=1)
    (True, 2, False)
    >>> drain.is_over(now_ns=NS_PER_S, traders=0), drain.is_over(now_ns=2 * NS_PER_S, traders=1)
    (True, True)
    >>> drain.ask()  # once more: now, please
    False
    """

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self.asked = False
        self.begun = False
        self._until_ns = 0

    def ask(self, seconds: int | None = None) -> bool:
        """Asks for the end, after so many seconds; False, and nothing else, where it was asked for before."""
        if self.asked:
            return False
        self.seconds = self.seconds if seconds is None else seconds
        self.asked = True
        return True

    def begin(self, now_ns: int) -> int:
        """From now on only cancels; returns for how many seconds."""
        self.begun = True
        self._until_ns = now_ns + self.seconds * NS_PER_S
        return self.seconds

    def is_over(self, now_ns: int, traders: int) -> bool:
        """Whether the time is over, or nobody is left to wait for."""
        return self.begun and (traders == 0 or now_ns >= self._until_ns)

    def remaining_ms(self, now_ns: int) -> int:
        return max(0, (self._until_ns - now_ns) // NS_PER_MS + 1)
