"""Runs changes of the native engine; called by the runner, in the copy of the tree that holds them.

python native_worker.py CORPUS          reads [number, hint, seconds, passed] a line, writes an outcome a line
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import trial
from corpus import Entry


def main() -> None:
    _, packed = pickle.loads(Path(sys.argv[1]).read_bytes())
    entries = [Entry(*entry) for entry in packed]
    from exchange._native import engine

    kept, stamp = Path("reached.pickle"), Path("stamp").read_text("utf-8")
    places = trial.reached("native", entries, engine.take_changes, kept, stamp)
    changes = json.loads(Path("changes.json").read_text("utf-8"))
    if not set().union(*places) <= {number for number, *_ in changes}:
        raise SystemExit("The core asks for changes that are not in the list of them.")
    trial.prove_quiet("native", entries)
    kin = trial.kin_of([f"{room}.{function}" for _, room, _, _, function, *_ in changes])
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        number, hint, seconds, passed = json.loads(line)
        asked = trial.order_of(entries, places, number, hint, kin[number], set(passed))
        outcome = trial.attempt("native", entries, asked, number, engine.switch_change, seconds)
        print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main()
