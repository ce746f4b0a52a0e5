"""The other builds of the core: what is copied, how lines are counted, that a wheel is portable."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def load(name: str) -> ModuleType:
    """A script of .ci as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


variant, rooms = load("variant"), load("rooms")


def flags_of(kind: str) -> list[str]:
    """The compiler's flags of a build, as setup.py has them."""
    names: dict[str, Any] = {}
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).isupper():
            exec(ast.unparse(node), names)
    flags: list[str] = names["FLAGS"][kind]
    return flags


def test_a_released_wheel_is_not_tuned_to_a_machine() -> None:
    assert not [flag for flag in flags_of("release") if flag.startswith("-m")]
    assert "-march=native" in flags_of("native")


@pytest.mark.parametrize("kind", ["debug", "sanitize"])
def test_signed_overflow_is_seen_although_python_is_built_to_wrap(kind: str) -> None:
    assert "-fno-wrapv" in flags_of(kind)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project that stands for this one."""
    for name in (
        "setup.py",
        "native/book.pxd",
        "exchange/_native/engine.so",
        ".ci/run",
        "build/x",
        ".venv/y",
    ):
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / name).write_text(name)
    monkeypatch.setattr(variant, "ROOT", tmp_path / "project")
    return tmp_path / "copy"


def test_a_variant_holds_the_projects_files_and_nothing_that_was_made(tree: Path) -> None:
    variant.mirror(tree)
    copied = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}
    assert copied == {"setup.py", "native/book.pxd", ".ci/run"}


def test_a_second_copy_takes_what_changed_and_drops_what_is_gone(tree: Path) -> None:
    variant.mirror(tree)
    built = tree / "exchange" / "_native" / "engine.so"
    built.parent.mkdir(parents=True)
    built.write_text("its own core")
    (variant.ROOT / "setup.py").write_text("changed")
    (variant.ROOT / "native" / "book.pxd").unlink()
    before = (tree / ".ci" / "run").stat().st_ctime_ns
    variant.mirror(tree)
    assert (tree / "setup.py").read_text() == "changed"
    assert not (tree / "native" / "book.pxd").exists()
    assert built.read_text() == "its own core"
    assert (tree / ".ci" / "run").stat().st_ctime_ns == before


def test_the_same_report_of_two_processes_is_shown_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "build").mkdir()
    text = "book.c:7:1: runtime error: shift\n    #0 there\nbook.c:9:1: runtime error: overflow\n"
    (tmp_path / "build" / "report.1").write_text(text)
    (tmp_path / "build" / "report.2").write_text(text)
    assert variant.show_reports(tmp_path) == 2
    assert capsys.readouterr().out.count("shift") == 1


#: What Cython writes: a comment for each statement, then its C; line 2 of the room was never reached.
GENERATED = """\
static int f(int x) {
  /* "native/book.pxd":1
 * if x:             # <<<<<<<<<<<<<<
 *     return 1
 */
  if (x) {

    /* "native/book.pxd":2
 * if x:
 *     return 1      # <<<<<<<<<<<<<<
 */
    r = 1;
    goto L0;
  }

  /* function exit code */
  L0:;
  return r;
}
"""


def test_a_line_of_the_core_ran_as_often_as_its_first_line_of_c() -> None:
    lines = GENERATED.splitlines()
    ran = {
        number: 0 for number, line in enumerate(lines, 1) if line.strip() in ("r = 1;", "goto L0;")
    }
    ran |= {
        number: 5
        for number, line in enumerate(lines, 1)
        if line.strip() in ("if (x) {", "return r;")
    }
    assert rooms.count_rooms(GENERATED, ran) == {"book.pxd": {1: 5, 2: 0}}


def test_an_inline_function_of_two_modules_is_counted_together() -> None:
    both: dict[str, dict[int, int]] = {"book.pxd": {1: 5, 2: 0}}
    rooms.add(both, {"book.pxd": {2: 3}, "units.pxd": {1: 1}})
    assert both == {"book.pxd": {1: 5, 2: 3}, "units.pxd": {1: 1}}


def test_lines_are_told_as_spans() -> None:
    assert rooms.spans([3, 4, 5, 9]) == "3-5, 9"
