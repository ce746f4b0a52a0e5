"""Writes ``methods_sync.py`` from ``methods_aio.py``: ``python -m exchange.client.generate``.

A method of the asyncio client and its twin of the sync client differ in the words ``async`` and ``await``, and in the
names of their classes.  Writing both by hand is six hundred lines twice, and a text that is changed in one of them
only.  Running the asyncio client under the sync one would need a loop, and a thread for its heartbeats.
"""

from __future__ import annotations

import io
import tokenize
from pathlib import Path

HERE = Path(__file__).parent
SOURCE, TARGET = HERE / "methods_aio.py", HERE / "methods_sync.py"
DOCSTRING = '''\
"""What clients can do, each method waiting for its reply.  Made from ``methods_aio.py``: change it there.

``python -m exchange.client.generate`` writes this file.
"""
'''
DROPPED = {"async", "await"}
RENAMED = {
    "AsyncMethods": "Methods",
    "AsyncTraderMethods": "TraderMethods",
    "AsyncOperatorMethods": "OperatorMethods",
}


def to_sync(source: str) -> str:
    """The same code without asyncio.

    >>> print(to_sync("class AsyncMethods:\\n    async def ask(self): return (await self._run()).x  # await it"))
    class Methods:
        def ask(self): return (self._run()).x  # await it
    """
    lines = source.splitlines(keepends=True)
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    for token in reversed(tokens):
        # From the back, so that what is cut out moves nothing that is still to be looked at.
        row, start, end = token.start[0] - 1, token.start[1], token.end[1]
        if token.type != tokenize.NAME:
            continue
        if token.string in DROPPED:
            lines[row] = lines[row][:start] + lines[row][end:].removeprefix(" ")
        elif token.string in RENAMED:
            lines[row] = lines[row][:start] + RENAMED[token.string] + lines[row][end:]
    return "".join(lines)


def generate(source: str) -> str:
    """The whole module: its own docstring, then everything below the source's."""
    _, _, body = source.split('"""', 2)
    return DOCSTRING + to_sync(body.removeprefix("\n"))


if __name__ == "__main__":
    TARGET.write_text(generate(SOURCE.read_text()))
