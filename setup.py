"""Builds the matching core: ``native/*.pyx`` become ``exchange._native.*``; nothing named ``native`` is installed.

``EXCHANGE_BUILD`` chooses how: ``release`` (default; asserts stay on), ``native`` (tuned to this machine's
processor, not for wheels), ``debug`` (no optimisation, symbols), ``sanitize`` (address and undefined-behaviour
sanitizers).
"""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

FLAGS = {
    "release": ["-O3", "-fno-strict-aliasing", "-g1"],
    "native": ["-O3", "-fno-strict-aliasing", "-g1", "-march=native"],
    "debug": ["-O0", "-g3", "-fno-strict-aliasing", "-DEXCHANGE_CHECKED"],
    "sanitize": [
        "-O1",
        "-g",
        "-fno-strict-aliasing",
        "-fsanitize=address,undefined",
        "-fno-omit-frame-pointer",
    ],
}
kind = os.environ.get("EXCHANGE_BUILD", "release")
if kind not in FLAGS:
    raise SystemExit(f"EXCHANGE_BUILD must be one of {', '.join(FLAGS)}; it is {kind!r}")
link = ["-fsanitize=address,undefined"] if kind == "sanitize" else []


def extension(name: str) -> Extension:
    """The extension exchange._native.NAME, rebuilt when any room of the core changes."""
    rooms = [f"native/{f}" for f in sorted(os.listdir("native")) if f.endswith(".pxd")]
    return Extension(
        f"exchange._native.{name}",
        [f"native/{name}.pyx"],
        depends=rooms,
        extra_compile_args=[*FLAGS[kind], "-Wno-unused-function", "-Wno-packed-not-aligned"],
        extra_link_args=link,
    )


setup(
    ext_modules=cythonize(
        [extension("engine"), extension("codec")],
        language_level=3,
        build_dir="build/cython",
        compiler_directives={
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "embedsignature": True,
        },
    )
)
