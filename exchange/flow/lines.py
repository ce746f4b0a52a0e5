"""Rows of a recorded file, plain or gzipped, with their line numbers; and the error that names a line."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from exchange.errors import ExchangeError

GZIP_MAGIC = b"\x1f\x8b"


class FlowError(ExchangeError):
    """A recorded file is not what it should be: which line, what was wanted, what came."""


def at_line(path: Path, line: int, wanted: str, came: object) -> FlowError:
    """The error for one line of a file."""
    return FlowError(f"{path}, line {line}: wanted {wanted}, came {came!r}")


def open_text(path: Path) -> IO[str]:
    """The file as text; what it holds tells whether it is gzipped, not its name."""
    with path.open("rb") as file:
        is_gzip = file.read(2) == GZIP_MAGIC
    if is_gzip:
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number (from 1) and cells of each line that is not empty."""
    with open_text(path) as text:
        try:
            for line, cells in enumerate(csv.reader(text), start=1):
                if cells:
                    yield line, cells
        except (EOFError, OSError, zlib.error, UnicodeDecodeError, csv.Error) as error:
            raise FlowError(
                f"{path}: wanted lines of text, plain or gzipped; it cannot be read to its end ({error})"
            ) from None


def whole_number(cell: str) -> int | None:
    """The integer in a cell; None where there is none."""
    try:
        return int(cell)
    except ValueError:
        return None
