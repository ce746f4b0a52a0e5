"""Shows which lines of the core have run in the trace build: a table by room, and the lines that never did.

    python .ci/rooms.py build/trace [--missing] [--json]

Theory of operation.  Cython writes before the C code of each statement a comment with the file and line that it
stands for, the bodies of inline functions of a .pxd included; gcov (of the compiler that built it) tells how often each
line of C ran.  A line of the core ran as often as the first counted line of C after its comment.  Cython's own line
tracing was the other way: it calls Python for every line, which needs the GIL that the core is without.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

#: The comment before the code of a statement, and what ends the code of the last statement of a function.
STATEMENT = re.compile(r'\s*/\* "native/(\w+\.p(?:xd|yx))":(\d+)$')
FUNCTION_END = re.compile(r"\}|\s*/\* function exit code \*/")

Counts = dict[int, int]


def gcov(data: Path, root: Path) -> tuple[Path, Counts]:
    """The C file of a module, and how often each of its lines ran."""
    command = os.environ.get("GCOV", "gcov").split()
    done = subprocess.run(
        [*command, "--json-format", "--stdout", str(data)], cwd=root, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} cannot read {data}:\n{done.stderr}")
    for file in json.loads(done.stdout)["files"]:
        if re.search(r"native/\w+\.c$", file["file"]):
            counts: Counts = {}
            for line in file["lines"]:
                counts[line["line_number"]] = max(line["count"], counts.get(line["line_number"], 0))
            return root / file["file"], counts
    raise SystemExit(f"{data} says nothing of the core")


def statements(text: str) -> Iterator[tuple[str, int, int, int]]:
    """Room, line, and first and last line of C of each statement."""
    room, line, first = "", 0, 0
    in_comment = False
    lines = text.splitlines()
    for number, code in enumerate(lines, start=1):
        found = STATEMENT.match(code)
        ends = FUNCTION_END.match(code)
        if (found or ends) and room:
            yield room, line, first, number - 1
            room = ""
        if found:
            room, line, in_comment = found[1], int(found[2]), True
        elif in_comment and "*/" in code:
            first, in_comment = number + 1, False


def count_rooms(text: str, ran: Counts) -> dict[str, Counts]:
    """How often each line of each room ran, by the counts of the lines of C."""
    rooms: dict[str, Counts] = {}
    for room, line, first, last in statements(text):
        counted = [ran[number] for number in range(first, last + 1) if number in ran]
        if counted:
            lines = rooms.setdefault(room, {})
            lines[line] = max(counted[0], lines.get(line, 0))
    return rooms


def add(rooms: dict[str, Counts], more: dict[str, Counts]) -> None:
    """Adds the counts of another module: an inline function may be in both."""
    for room, lines in more.items():
        for line, count in lines.items():
            known = rooms.setdefault(room, {})
            known[line] = known.get(line, 0) + count


def spans(lines: list[int]) -> str:
    """Numbers as people write them: 3-5, 9."""
    found: list[list[int]] = []
    for line in lines:
        if found and line == found[-1][1] + 1:
            found[-1][1] = line
        else:
            found.append([line, line])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in found)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tree", type=Path, help="the tree of the trace build")
    parser.add_argument("--missing", action="store_true", help="also the lines that never ran")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args()
    data = sorted(options.tree.rglob("*.gcda"))
    if not data:
        raise SystemExit(
            f"nothing has run in {options.tree} yet; `make trace` runs the tests there"
        )
    rooms: dict[str, Counts] = {}
    for path in data:
        source, ran = gcov(path.resolve(), options.tree.resolve())
        add(rooms, count_rooms(source.read_text(errors="replace"), ran))
    never = {
        room: sorted(n for n, count in lines.items() if not count) for room, lines in rooms.items()
    }
    if options.json:
        print(
            json.dumps({r: {"lines": len(rooms[r]), "never_ran": never[r]} for r in sorted(rooms)})
        )
        return 0
    print(f"{'room':18}{'lines':>7}{'ran':>7}{'%':>8}")
    for room in sorted(rooms):
        total, ran_count = len(rooms[room]), len(rooms[room]) - len(never[room])
        missing = f"   {spans(never[room])}" if options.missing and never[room] else ""
        print(f"{room:18}{total:7}{ran_count:7}{100 * ran_count / total:8.1f}{missing}")
    total, left = sum(map(len, rooms.values())), sum(map(len, never.values()))
    print(f"{'all':18}{total:7}{total - left:7}{100 * (total - left) / total:8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
