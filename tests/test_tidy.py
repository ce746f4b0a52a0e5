"""What protects correctness and navigation: who may import whom, no floats where money is, docs that lead somewhere."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange.protocol.schema import COMMANDS, ENUMS, EVENTS, REJECT_PROSE, RejectReason

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "exchange"
NATIVE = ROOT / "native"
DOCS = [
    *ROOT.glob("*.md"),
    *(
        page
        for folder in ("docs", "benchmarks", "exchange/data")
        for page in (ROOT / folder).rglob("*.md")
    ),
]
SOURCES = [
    *(
        path
        for folder in ("exchange", "native", "tests", "examples", "benchmarks")
        for pattern in ("*.py", "*.pyx", "*.pxd")
        for path in (ROOT / folder).rglob(pattern)
        if path != Path(__file__)
    ),
    ROOT / "setup.py",
]
RULES = "\n".join(page.read_text() for page in sorted((ROOT / "docs" / "reference").glob("*.md")))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_of(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            folder = ROOT / node.module.replace(".", "/")
            for alias in node.names:
                is_module = folder.is_dir() and (folder / f"{alias.name}.py").exists()
                yield f"{node.module}.{alias.name}" if is_module else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


# ------------------------------------------------------------------------------------ who imports whom

#: The only files that may name the compiled core; the benchmark times it with switches that no exchange has.
DOORS = {
    "exchange/_native/__init__.py",
    "exchange/engine.py",
    "exchange/bench/core.py",
    "exchange/bench/gateway/worker.py",
    "exchange/gateway/event_log.py",
    "exchange/gateway/lane.py",
    "exchange/gateway/publishing.py",
    "exchange/protocol/records.py",
}

#: Package or module -> what of this project it may import, itself apart.
MAY_IMPORT = {
    "exchange.protocol": {"exchange._native"},
    "exchange.errors": {"exchange.protocol"},
    "exchange.units": {"exchange.errors", "exchange.protocol"},
    "exchange.risk": {"exchange.errors", "exchange.protocol", "exchange.units"},
    "exchange.whatif": {"exchange.errors", "exchange.protocol"},
    "exchange.reference": {"exchange.errors", "exchange.protocol", "exchange.whatif"},
    "exchange.audit": {"exchange.errors", "exchange.protocol", "exchange.engine"},
    "exchange.sequencer": {"exchange.protocol"},
    "exchange.journal": {"exchange.disk", "exchange.segments"},
    "exchange.disk": {"exchange.errors"},
    "exchange.segments": {"exchange.errors"},
    # What the loop counts with, and what it logs, knows no gateway; the desk and the metrics look at the whole node.
    "exchange.ops.counters": {"exchange.peek", "exchange.protocol"},
    "exchange.ops.log_events": set(),
    "exchange.ops.log": {"exchange.ops.log_events"},
    "exchange.ops.drain": set(),
    "exchange.ops.monitor": {"exchange.protocol"},
    # The live view is a client: it knows nothing of the node but what is said between the two.
    "exchange.ops.top": {
        "exchange.client",
        "exchange.errors",
        "exchange.gateway.connection",
        "exchange.gateway.feed",
        "exchange.keys",
        "exchange.protocol",
        "exchange.units",
    },
    "exchange.client": {
        "exchange.errors",
        "exchange.protocol",
        "exchange.units",
        "exchange.gateway.connection",
        "exchange.gateway.feed",
        "exchange.keys",
    },
    "exchange.gateway": {
        "exchange.errors",
        "exchange.protocol",
        "exchange.engine",
        "exchange.peek",
        "exchange.sequencer",
        "exchange.ops.log_events",
    },
}

#: Modules that turn bytes into meaning do no I/O: they name neither sockets nor files.
WITHOUT_IO = (
    "exchange/client/core.py",
    "exchange/client/errors.py",
    "exchange/client/requests.py",
    "exchange/client/stream.py",
    "exchange/client/asks.py",
    "exchange/client/mirror.py",
    "exchange/client/book_mirror.py",
    "exchange/client/order_mirror.py",
    "exchange/client/market_data.py",
    "exchange/gateway/connection.py",
    "exchange/gateway/courier.py",
    "exchange/gateway/event_log.py",
    "exchange/gateway/greeting.py",
    "exchange/gateway/limits.py",
    "exchange/gateway/permission.py",
    "exchange/gateway/reception.py",
    "exchange/gateway/replies.py",
    "exchange/gateway/sessions.py",
    "exchange/gateway/publisher.py",
    "exchange/gateway/interest.py",
    "exchange/gateway/conflation.py",
    "exchange/gateway/public_book.py",
    "exchange/gateway/statistics.py",
    "exchange/gateway/resting.py",
    "exchange/sequencer.py",
    "exchange/ops/drain.py",
    "exchange/ops/counters.py",
    "exchange/ops/top/picture.py",
    "exchange/ops/top/frame.py",
)
IO_MODULES = {"zmq", "socket", "asyncio", "os", "pathlib", "threading", "subprocess"}


def below(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def files_of(package: str) -> list[Path]:
    path = ROOT / package.replace(".", "/")
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    assert files, f"{package} has no files"
    return files


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_room_imports_only_what_stands_below_it(package: str) -> None:
    allowed = MAY_IMPORT[package] | {package}
    wrong = [
        f"{name_of(path)} imports {module}"
        for path in files_of(package)
        for module in imports_of(path)
        if below(module, "exchange") and not any(below(module, room) for room in allowed)
    ]
    assert not wrong


def test_only_the_doors_name_the_compiled_core() -> None:
    naming = {name_of(p) for p in PACKAGE.rglob("*.py") if "exchange._native" in p.read_text()}
    assert naming <= DOORS


@pytest.mark.parametrize("file", WITHOUT_IO)
def test_what_gives_bytes_a_meaning_does_no_io(file: str) -> None:
    assert not {module.split(".")[0] for module in imports_of(ROOT / file)} & IO_MODULES


@pytest.mark.parametrize("package", ["exchange.reference", "exchange.audit"])
def test_no_engine_reads_a_clock_or_draws_a_number(package: str) -> None:
    imported = {module.split(".")[0] for path in files_of(package) for module in imports_of(path)}
    assert not imported & {"time", "datetime", "random", "secrets", "uuid", "os"}


#: The rooms of the core from the bottom up; a room cimports only from rooms before it.
ROOMS = [
    *("units", "wire", "memory", "core", "order_index", "positions", "own_orders"),
    *("block_index", "book", "buffer", "doors", "packing"),
    *(
        "events",
        "margin",
        "credit",
        "bands",
        "ledger",
        "trailing",
        "timers",
        "remembered",
        "waiting",
        "order_life",
    ),
    *(
        "funds",
        "charging",
        "bankruptcy",
        "telling",
        "queue",
        "warnings",
        "marks",
        "matching",
        "legs",
        "caps",
        "checks",
        "orders",
        "auction",
        "amend",
        "operations",
        "pricing",
        "collateral",
    ),
    *(
        "auto_margin",
        "deleveraging",
        "liquidation",
        "listing",
        "policies",
        "funding",
        "triggers",
        "states",
        "lists",
    ),
    *("canonical", "restore", "pocket", "lifetime", "lookahead"),
    "counters",
    *("market_book", "market_statistics", "market_feed"),
    *("engine", "codec", "market_data"),
    *("event_log", "streams"),
    *("zmq_api", "mail", "outbox", "journal_frame", "gateway"),
    *("echo", "histogram", "load_answers", "load", "listen"),
]


def test_rooms_of_the_core_are_cimported_downwards_only() -> None:
    assert {path.stem for path in NATIVE.glob("*.p[xy]*")} == {*ROOMS, "__init__"}
    wrong = [
        f"{path.name} cimports {other}"
        for path in NATIVE.glob("*.p[xy]*")
        for other in re.findall(r"^(?:from|cimport) native\.(\w+)", path.read_text(), re.MULTILINE)
        if ROOMS.index(other) >= ROOMS.index(path.stem)
    ]
    assert not wrong


# -------------------------------------------------------------------------------------- no floats near money


@pytest.mark.parametrize("package", ["exchange.reference", "exchange.audit"])
def test_no_float_where_rules_are_carried_out(package: str) -> None:
    wrong = [
        f"{name_of(path)}:{node.lineno}"
        for path in files_of(package)
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Name) and node.id == "float")
        or (isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div))
    ]
    assert not wrong


def code_tokens(source: str) -> Iterator[tokenize.TokenInfo]:
    """The tokens of Python or Cython code without comments and texts."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.NAME, tokenize.NUMBER):
            yield token


@pytest.mark.parametrize("path", sorted(NATIVE.glob("*.p[xy]*")), ids=lambda path: path.name)
def test_no_float_in_the_core(path: Path) -> None:
    wrong = [
        f"{path.name}:{token.start[0]} {token.string}"
        for token in code_tokens(path.read_text())
        if token.string in ("float", "double")
        or (token.type == tokenize.NUMBER and isinstance(ast.literal_eval(token.string), float))
    ]
    assert not wrong


# ------------------------------------------------------------------------------------------- documentation


@pytest.mark.parametrize("page", DOCS, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    local = [target for target in targets if target and "://" not in target]
    assert not [target for target in local if not (page.parent / target).exists()]


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop().resolve()
        if page in seen:
            continue
        seen.add(page)
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
            path = page.parent / target
            waiting += (
                [path] if path.suffix == ".md" else [path / "README.md"] if path.is_dir() else []
            )
            waiting = [page for page in waiting if page.exists()]
    unreachable = {name_of(p) for p in (ROOT / "docs").rglob("*.md") if p.resolve() not in seen}
    assert not unreachable


def test_every_code_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "codes.md").read_text().lower()
    assert REJECT_PROSE.keys() == set(RejectReason)
    missing = [
        f"{kind.__name__}.{member.name}"
        for kind in ENUMS
        for member in kind
        if not re.search(rf"\b{member.name.lower()}\b", page)
    ]
    assert not missing


def test_every_message_and_field_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "messages.md").read_text()
    names = {m.name for m in COMMANDS + EVENTS} | {
        f.name for m in COMMANDS + EVENTS for f in m.fields
    }
    assert not [name for name in sorted(names) if f"`{name}`" not in page and name not in page]


RULE_ID = re.compile(r"\b(?:UNITS|MATCH|ACCT|MARGIN|LIQ|FUND|ADL|FUNDING)-\d\d[a-z]?\b")


def test_rule_ids_in_the_code_are_in_the_rules() -> None:
    known = set(RULE_ID.findall(RULES))
    wrong = [
        f"{name_of(path)} names {rule}"
        for path in SOURCES
        for rule in sorted(set(RULE_ID.findall(path.read_text())))
        if rule not in known
    ]
    assert not wrong


def test_shipped_data_says_where_it_comes_from() -> None:
    page = (PACKAGE / "data" / "README.md").read_text()
    files = [path.name for path in (PACKAGE / "data").iterdir() if path.name != "README.md"]
    assert not [name for name in files if f"`{name}`" not in page]


def test_every_module_says_what_it_is_for() -> None:
    files = [
        p
        for folder in ("exchange", "tests", "examples", "benchmarks")
        for p in (ROOT / folder).rglob("*.py")
    ]
    assert not [name_of(p) for p in files if not ast.get_docstring(ast.parse(p.read_text()))]


def test_decisions_are_numbered_and_listed() -> None:
    folder = ROOT / "docs" / "adr"
    files = sorted(path.name for path in folder.glob("[0-9]*.md"))
    numbers = [int(name[:4]) for name in files]
    assert numbers == sorted(set(numbers))  # those that are written side by side come in any order
    index = (folder / "README.md").read_text()
    assert not [name for name in files if f"({name})" not in index]
    assert not [name for name in files if len((folder / name).read_text().split()) > 450]


# ----------------------------------------------------------------------------------------- nothing left open

#: Pieced together, so that this file does not name what it forbids.
LEFT_OPEN = re.compile(
    "|".join(
        (
            "TO" + "DO",
            "FIX" + "ME",
            "XX" + "X",
            "NotImplemented" + "Error",
            r"mark\.sk" + "ip",
            "xf" + "ail",
        )
    )
)
ELSEWHERE = re.compile(
    "|".join(
        (
            "/wo" + "rk/",
            r"\.\./sha" + "red",
            r"pypi\.o" + "rg",
            "pythonhost" + "ed",
            r"npmjs\.o" + "rg",
        )
    )
)


def test_nothing_is_left_open_in_the_code() -> None:
    assert not [name_of(path) for path in SOURCES if LEFT_OPEN.search(path.read_text())]


def test_nothing_names_a_place_that_no_user_has() -> None:
    files = [*SOURCES, *DOCS, ROOT / "Makefile", ROOT / "pyproject.toml", ROOT / ".ci" / "run"]
    files += [*(ROOT / "tests").rglob("*.yaml"), *(ROOT / ".ci").glob("*.sh")]
    assert not [name_of(path) for path in files if ELSEWHERE.search(path.read_text())]
