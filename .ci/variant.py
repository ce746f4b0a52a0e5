"""Builds the core another way, in a copy of the tree, and runs something there; the release build stays as it is.

    python .ci/variant.py sanitize -m pytest -q        # Python's arguments, run in build/sanitize
    python .ci/variant.py native                       # only build

A variant lives in build/NAME: the project's files as they are now, and the core compiled in place with
EXCHANGE_BUILD=NAME (setup.py says how).  Tests then find everything beside them, and so do the processes that they
start.  What did not change since the last time is neither copied nor compiled again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILT = ROOT / "build"
#: Made by tools or by running: not part of the project.  Folders at the root, then endings and names anywhere.
NOT_OURS = {"build", "dist", ".git", ".venv", "demo-out", "exchange-data", "fuzz-failures"}
NOT_OURS_ANYWHERE = {"__pycache__", ".hypothesis", ".pytest_cache", ".mypy_cache", ".ruff_cache"}
REPORTS = "build/report"  # what the sanitizers write, with the number of the process behind
#: Bounds the address space, so that memory runs out; libasan takes its own at the start and never runs out.
NOT_SANITIZED = "tests/unit/test_rejections.py::test_out_of_capacity"
STACK = 15  # lines of a report that are shown
MADE = {".so", ".pyd", ".gcda", ".gcno"}


def fail(text: str) -> None:
    raise SystemExit(f"\n{text}\n")


def files_of(root: Path) -> Iterator[Path]:
    """The project's files, relative to its root."""
    for folder, folders, names in os.walk(root):
        here = Path(folder).relative_to(root)
        folders[:] = [
            name
            for name in folders
            if name not in NOT_OURS_ANYWHERE
            and not name.endswith(".egg-info")
            and not (here == Path() and name in NOT_OURS)
        ]
        yield from (here / name for name in names if Path(name).suffix not in MADE)


def same(a: Path, b: Path) -> bool:
    """Whether ``b`` is a copy of ``a`` already."""
    if not b.exists():
        return False
    one, two = a.stat(), b.stat()
    return one.st_size == two.st_size and one.st_mtime_ns == two.st_mtime_ns


def mirror(target: Path) -> None:
    """Makes ``target`` hold the project's files, and none that are gone."""
    wanted = set(files_of(ROOT))
    for path in wanted:
        if not same(ROOT / path, target / path):
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, target / path)
    for path in set(files_of(target)) - wanted if target.exists() else ():
        (target / path).unlink()


def runtime_library(name: str) -> str:
    """Where the C compiler keeps a library of its own."""
    compiler = (os.environ.get("CC") or "cc").split()
    said = subprocess.run([*compiler, f"-print-file-name={name}"], capture_output=True, text=True)
    path = said.stdout.strip()
    if not os.path.isabs(path):
        fail(
            f"The sanitizers need {name}, which {compiler[0]} does not have (gcc on Linux has; "
            "Debian, Ubuntu: apt-get install gcc)."
        )
    return os.path.realpath(path)


def environment(name: str, target: Path) -> dict[str, str]:
    """What the variant's processes run with."""
    made = {**os.environ, "PYTHONPATH": str(target), "EXCHANGE_BUILD": name}
    if name == "sanitize":
        # The interpreter is not built with the sanitizers, so their library must come first; and it frees nothing at
        # its end, so leaks say nothing.  Python's own allocator would hide where a bytes object ends.
        made["LD_PRELOAD"] = f"{runtime_library('libasan.so')} {runtime_library('libstdc++.so.6')}"
        # A report ends its process.  Those of libasan go to files, since a test may expect that a node of its own dies;
        # those of libubsan only ever go to file descriptor 2, which pytest must therefore leave alone.
        made["ASAN_OPTIONS"] = f"detect_leaks=0:log_path={target / REPORTS}"
        made.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1:abort_on_error=1")
        made["PYTEST_ADDOPTS"] = f"--capture=sys --deselect {NOT_SANITIZED}"
        made["PYTHONMALLOC"] = "malloc"
    return made


def show_reports(target: Path) -> int:
    """Prints what libasan reported, the same place once; how many places."""
    places: dict[str, str] = {}
    for path in sorted(target.glob(f"{REPORTS}.*")):
        for report in re.split(
            r"(?m)^(?=\S+:\d+:\d+: runtime error|=+\d+=+ERROR)", path.read_text()
        ):
            if report:
                places.setdefault(report.split("\n")[0], "\n".join(report.split("\n")[:STACK]))
    for text in places.values():
        print(f"\n{text}\n")
    return len(places)


def build(name: str) -> Path:
    """The copy of the tree with its core built; errors of the compiler end this."""
    target = BUILT / name
    mirror(target)
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    env = {**os.environ, "EXCHANGE_BUILD": name}
    if subprocess.run(command, cwd=target, env=env).returncode:
        fail(f"The {name} build failed.")
    return target


def main() -> int:
    if len(sys.argv) < 2:
        fail(__doc__ or "")
    name, *arguments = sys.argv[1:]
    target = build(name)
    env = environment(name, target)
    where = "import exchange._native.engine as engine; print(engine.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where], cwd=target, env=env, capture_output=True, text=True
    )
    if not found.stdout.startswith(str(target)):
        fail(f"The core of {target} should be imported; came: {found.stdout}{found.stderr}")
    print(f"{name} build: {found.stdout.strip()}", flush=True)
    if not arguments:
        return 0
    for path in (*target.glob(f"{REPORTS}.*"), *target.rglob("*.gcda")):
        path.unlink()  # of the run before
    code = subprocess.run([sys.executable, *arguments], cwd=target, env=env).returncode
    found_count = show_reports(target)
    if found_count:
        print(f"the sanitizers reported {found_count} places")
    return code or int(found_count > 0)


if __name__ == "__main__":
    sys.exit(main())
