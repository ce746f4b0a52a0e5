"""The changes of the reference engine: modules of exchange.reference, imported with one change each."""

from __future__ import annotations

import ast
import builtins
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence
from pathlib import Path

import python_changes
from corpus import ROOT
from python_changes import ASKED, Change

FOLDER = ROOT / "exchange" / "reference"
PACKAGE = "exchange.reference"


class Rooms:
    """The modules that are changed, and the number of each one's first change."""

    def __init__(self, names: Sequence[str]) -> None:
        self.sources = {name: (FOLDER / f"{name}.py").read_text("utf-8") for name in names}
        #: All other modules as they are now: what is edited meanwhile belongs to the next run.
        self.others = {
            path.stem: path.read_text("utf-8")
            for path in FOLDER.glob("*.py")
            if path.stem not in self.sources and path.stem != "__init__"
        }
        #: All of them compiled once; a change compiles its own module again.
        self.compiled = {
            name: compile(source, str(self.path(name)), "exec")
            for name, source in {**self.others, **self.sources}.items()
        }
        self.changes: list[tuple[str, Change]] = []
        self.first: dict[str, int] = {}
        for name, source in self.sources.items():
            self.first[name] = len(self.changes)
            self.changes += [(name, change) for change in python_changes.changes_of(source)]

    def path(self, name: str) -> Path:
        return FOLDER / f"{name}.py"


class Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports modules of the reference engine from trees made for the purpose."""

    def __init__(self, rooms: Rooms, make: dict[str, ast.Module]) -> None:
        trees = {name: compile(tree, str(rooms.path(name)), "exec") for name, tree in make.items()}
        self.make = {**rooms.compiled, **trees}

    def find_spec(
        self, name: str, path: object, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        room = name.removeprefix(f"{PACKAGE}.")
        if room not in self.make or not name.startswith(f"{PACKAGE}."):
            return None
        return importlib.machinery.ModuleSpec(name, self)

    def exec_module(self, module: types.ModuleType) -> None:
        room = module.__name__.removeprefix(f"{PACKAGE}.")
        exec(self.make[room], module.__dict__)


def forget() -> None:
    """The reference engine is imported anew when it is asked for."""
    for name in [n for n in sys.modules if n == PACKAGE or n.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]
    package = sys.modules.get("exchange")
    if package is not None and hasattr(package, "reference"):
        delattr(package, "reference")


def install(rooms: Rooms, make: dict[str, ast.Module]) -> Loader:
    forget()
    loader = Loader(rooms, make)
    sys.meta_path.insert(0, loader)
    return loader


class Counting:
    """The engine as it is, writing down which changes were asked for."""

    def __init__(self, rooms: Rooms) -> None:
        self.asked: set[int] = set()
        setattr(builtins, ASKED, self.asked.add)  # gives None: no change is on
        self.loader = install(
            rooms,
            {
                name: python_changes.counted(source, rooms.first[name])
                for name, source in rooms.sources.items()
            },
        )

    def take(self) -> set[int]:
        asked = set(self.asked)
        self.asked.clear()
        return asked

    def end(self) -> None:
        sys.meta_path.remove(self.loader)
        forget()


def switcher(rooms: Rooms):  # type: ignore[no-untyped-def]
    """Puts a change into effect: what is imported from now on has it."""

    def switch(number: int) -> None:
        name, change = rooms.changes[number]
        tree = python_changes.changed(rooms.sources[name], change.number)
        install(rooms, {name: tree})

    return switch
