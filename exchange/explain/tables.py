"""Columns of text."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

GAP = "  "
WIDTH = 100


def fold(line: str) -> list[str]:
    """A long sentence on several lines, set in below its first; a line of a table stays as it is.

    >>> fold("  " + "word " * 30)[1]
    '    word word word word word word word word word word word'
    """
    text = line.strip()
    if len(line) <= WIDTH or GAP in text or " " not in text:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    whole = re.sub(
        r"\[[^]]*\]", lambda found: found[0].replace(" ", "\0"), text
    )  # rule ids stay together
    lines = textwrap.wrap(
        whole, WIDTH, initial_indent=indent, subsequent_indent=indent + GAP, break_on_hyphens=False
    )
    return [line.replace("\0", " ") for line in lines]


def table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: Sequence[int] = (),
    ruled: bool = False,
) -> list[str]:
    """Lines of a table: columns are as wide as they have to be, and to the right unless they are named in ``left``.

    With ``ruled`` the last row stands under a line, as a sum does.

    >>> table(["who", "paid"], [["a", "1"], ["all", "12"]], left=(0,))
    ['who  paid', 'a       1', 'all    12']
    """
    every = [heads, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(heads))]
    lines = []
    for row in every:
        cells = [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(GAP.join(cells).rstrip())
    if ruled:
        lines.insert(len(lines) - 1, "-" * (sum(widths) + len(GAP) * (len(widths) - 1)))
    return lines
