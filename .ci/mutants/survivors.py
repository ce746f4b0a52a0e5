"""The committed lists of changes that nobody can notice, each with the reason: tests/mutants/*.toml."""

from __future__ import annotations

import tomllib

from corpus import ROOT

FOLDER = ROOT / "tests" / "mutants"


def argued(engine: str) -> dict[str, str]:
    """Change (``module.key``) -> why it changes nothing."""
    path = FOLDER / f"{engine}.toml"
    if not path.exists():
        return {}
    found: dict[str, str] = {}
    for group in tomllib.loads(path.read_text("utf-8")).get("argument", []):
        for change in group["changes"]:
            if change in found:
                raise SystemExit(f"{path}: {change} is argued twice")
            found[change] = group["because"]
    return found
