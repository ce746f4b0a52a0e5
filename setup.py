"""Builds the matching core: ``native/*.pyx`` become ``exchange._native.*``; nothing named ``native`` is installed.

``EXCHANGE_BUILD`` chooses how:

* ``release`` (default): asserts stay on; nothing of this machine in it, so a wheel runs on every processor of its kind
* ``native``: tuned to this machine's processor, not for wheels
* ``debug``: no optimisation, symbols, signed overflow aborts, credit is checked at every use
* ``mutants``: little optimisation and credit is checked, for the core with many small changes in it (.ci/mutants)
* ``trace``: counts how often each line runs (.ci/rooms.py shows it)
* ``sanitize``: address and undefined-behaviour sanitizers

All but the first two are for tests and are built in a copy of the tree (.ci/variant.py).
"""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

SANITIZERS = "-fsanitize=address,undefined"
# Python is built with -fwrapv and hands it on: signed overflow would be defined, and no sanitizer or trap would see it.
NO_WRAP = "-fno-wrapv"
# The core is one chain of short functions; gcc's limits stop it from joining them half-way.
FAST = [
    "-O3",
    "-fno-tree-slp-vectorize",
    "-fno-strict-aliasing",
    "-g1",
    "--param=max-inline-insns-single=2000",
    "--param=large-function-growth=6000",
    "--param=inline-unit-growth=400",
]
FLAGS = {
    "release": FAST,
    "native": [*FAST, "-march=native"],
    "debug": ["-O0", "-g3", "-fno-strict-aliasing", NO_WRAP, "-ftrapv", "-DEXCHANGE_CHECKED"],
    "mutants": ["-O1", "-fno-strict-aliasing", "-DEXCHANGE_CHECKED"],
    "trace": ["-O0", "-g", "-fno-strict-aliasing", "--coverage", "-fprofile-update=atomic"],
    "sanitize": [
        "-O1",
        "-g",
        "-fno-strict-aliasing",
        "-fno-omit-frame-pointer",
        NO_WRAP,
        SANITIZERS,
    ],
}
LINK_FLAGS = {"trace": ["--coverage"], "sanitize": [SANITIZERS]}
kind = os.environ.get("EXCHANGE_BUILD", "release")
if kind not in FLAGS:
    raise SystemExit(f"EXCHANGE_BUILD must be one of {', '.join(FLAGS)}; it is {kind!r}")


def extension(name: str) -> Extension:
    """The extension exchange._native.NAME, rebuilt when any room of the core changes."""
    rooms = [f"native/{f}" for f in sorted(os.listdir("native")) if f.endswith(".pxd")]
    return Extension(
        f"exchange._native.{name}",
        [f"native/{name}.pyx"],
        depends=[*rooms, "setup.py"],
        extra_compile_args=[
            *FLAGS[kind],
            "-Wno-unused-function",
            "-Wno-packed-not-aligned",
            "-Wno-attributes",
        ],
        extra_link_args=LINK_FLAGS.get(kind, []),
    )


setup(
    ext_modules=cythonize(
        [
            extension(name)
            for name in (
                *("engine", "codec", "market_data", "streams", "gateway"),
                *("echo", "load", "listen"),
            )
        ],
        language_level=3,
        build_dir="build/cython",
        emit_linenums=kind == "debug",  # so that a debugger speaks of lines of the .pxd
        compiler_directives={
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "embedsignature": True,
        },
    )
)
