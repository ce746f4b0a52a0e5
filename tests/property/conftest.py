"""Lets the tests of this folder share their streams (``test_streams``), and those of several ``twin``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
