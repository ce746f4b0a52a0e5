"""Makes the workload files that the core is measured on, each with the answers of a plain price-time book.

    python benchmarks/workloads.py mixed 1000000 1 mixed.bin
    python benchmarks/workloads.py moves 1000000 1 moves.bin

What they look like stands in `exchange/bench/workloads.py`, where `exchange bench gateway` takes them from, too.
"""

from __future__ import annotations

import sys

from exchange.bench.workloads import SHAPES, main, write

__all__ = ["SHAPES", "main", "write"]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
