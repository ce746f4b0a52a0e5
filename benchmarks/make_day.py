"""Draws a shipped day, exchange/data/day-*.csv, from the venue's own files.

    python benchmarks/make_day.py 2025-10-10 MARK_KLINES.csv.gz BOOK_DEPTH.csv.gz > exchange/data/day-2025-10-10.csv
    python benchmarks/make_day.py 2020-03-12 TRADE_BARS.csv.gz > exchange/data/day-2020-03-12.csv

MARK_KLINES is Binance's one-minute mark price file (``open_time_ms,open,high,low,close``), BOOK_DEPTH its
``bookDepth`` file of the day (``timestamp,percentage,depth,notional``), TRADE_BARS BitMEX's one-minute bars
(``open_time,open,high,low,close``).  exchange/data/README.md says what is derived and how.
"""

from __future__ import annotations

import csv
import gzip
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime

#: First minute and count of what is shipped.
WINDOWS = {"2025-10-10": ("2025-10-10T20:20", 110), "2020-03-12": ("2020-03-12T10:10", 110)}
PPM = 1_000_000


def read(path: str) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt") as file:
        yield from csv.DictReader(file)


def minute_of(row: dict[str, str]) -> str:
    if "open_time_ms" in row:
        return datetime.fromtimestamp(int(row["open_time_ms"]) / 1000, UTC).strftime(
            "%Y-%m-%dT%H:%M"
        )
    return row["open_time"][:16]


def depth_by_minute(path: str) -> dict[str, int]:
    """Notional within 1 % above the mid, as a share of the day's median; the mean of the samples of each minute.

    The ask side stands for both: the published bid side counts stale bids from 15:30 on.
    """
    samples = [
        (row["timestamp"], float(row["notional"]))
        for row in read(path)
        if float(row["percentage"]) == 1
    ]
    median = statistics.median(notional for _, notional in samples)
    by_minute = defaultdict(list)
    for timestamp, notional in samples:
        by_minute[timestamp[:16].replace(" ", "T")].append(notional)
    return {minute: round(statistics.fmean(v) / median * PPM) for minute, v in by_minute.items()}


def main() -> None:
    day, bars, *depth_file = sys.argv[1:]
    first, count = WINDOWS[day]
    depth = depth_by_minute(depth_file[0]) if depth_file else {}
    rows = [row for row in read(bars) if minute_of(row) >= first][:count]
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["minute_utc", "open", "high", "low", "close", "depth_ppm"])
    for row in rows:
        minute = minute_of(row)
        prices = [f"{float(row[name]):.1f}" for name in ("open", "high", "low", "close")]
        out.writerow([minute, *prices, depth.get(minute, PPM)])


if __name__ == "__main__":
    main()
