"""``python -m exchange.fuzz``."""

import sys

from exchange.fuzz.command import main

sys.exit(main())
