"""Builds the core with all changes of some rooms in it, in a copy of the tree: build/mutants/tree.

python .ci/mutants/native_build.py ROOM,ROOM          (in the copy; the runner calls it)
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from cython_changes import Changer, prepare


def main() -> None:
    rooms = set(sys.argv[1].split(","))
    native = Path("native").resolve()
    prepare(native, rooms)
    changer = Changer(native, rooms)
    changer.install()
    os.environ["EXCHANGE_BUILD"] = "mutants"
    sys.argv = ["setup.py", "--quiet", "build_ext", "--inplace", "--force"]
    runpy.run_path("setup.py", run_name="__main__")
    Path("changes.json").write_text(json.dumps(changer.changes), encoding="utf-8")


if __name__ == "__main__":
    main()
