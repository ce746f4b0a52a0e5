"""Takes the figures: every load on the exchange and on the bare echo in turns, with the answers checked."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from exchange.bench import core, workloads
from exchange.bench.gateway import answers, orders
from exchange.bench.gateway.answers import Checked
from exchange.bench.gateway.histograms import Latencies, Percentiles
from exchange.bench.gateway.plan import IN_FLIGHT, Load, Scale, Setting
from exchange.bench.gateway.processes import (
    Echo,
    Listeners,
    Node,
    Placement,
    Worker,
    stopping,
    write_keys,
)
from exchange.bench.gateway.processes import Load as LoadProcess

Say = Callable[[str], None]
KEEPS_UP = 0.98  # of the rate that was offered
W = TypeVar("W", bound=Worker)
DEPOSIT_ATOMS = core.BALANCE_ATOMS
#: Shorter waits of the generator yield its core; between equals of real time that is the quicker way.
SHORTEST_NAP_NS = {False: 1_000, True: 20_000}


class Side(msgspec.Struct):
    """What one server did under one load, all rounds together."""

    latencies: Latencies
    lateness: Latencies
    percentiles: list[Percentiles] = []  # of each round
    per_second: list[float] = []

    def add(self, result: dict[str, Any], is_open: bool) -> None:
        round_ = Latencies(result["latencies_ns"])
        self.percentiles.append(round_.percentiles())
        self.latencies.add(result["latencies_ns"])
        self.lateness.add(result["lateness_ns"])
        self.per_second.append(result["answered_per_second" if is_open else "per_second"])

    @property
    def rate(self) -> float:
        return statistics.median(self.per_second)


class Measured(msgspec.Struct):
    """One load of one setting on both servers."""

    setting: Setting
    load: Load
    echo: Side
    exchange: Side

    def ratio(self, field: str) -> float:
        """Exchange to echo: the median over the rounds of a percentile's ratio."""
        pairs = zip(self.exchange.percentiles, self.echo.percentiles, strict=True)
        ratios = [getattr(one, field) / max(getattr(other, field), 1e-3) for one, other in pairs]
        return float(statistics.median(ratios))

    @property
    def keeps_up(self) -> bool:
        """Whether the exchange did what was offered; else a latency is that of a queue, as long as the run was."""
        return self.exchange.rate >= KEEPS_UP * self.load.orders_per_second

    @property
    def throughput_ratio(self) -> float:
        return statistics.median(
            one / max(other, 1e-9)
            for one, other in zip(self.exchange.per_second, self.echo.per_second, strict=True)
        )


class SettingResult(msgspec.Struct):
    """All loads of a setting, what was checked, and what subscribers heard."""

    measured: list[Measured]
    checked: Checked
    heard: list[list[int]] = []  # messages, bytes and gaps of each subscriber that reads


class Servers(msgspec.Struct):
    """The two that are compared, each with its clients."""

    node: Node
    of_node: LoadProcess
    of_echo: LoadProcess
    placement: Placement
    before: int  # commands in the journal before anything was measured
    acknowledged: int = 0
    fills: int = 0  # pairs

    def run_exchange(self, name: str, **arguments: Any) -> dict[str, Any]:
        result = self.of_node.run(**self._scheduled(arguments))
        answers.check_run(f"exchange, {name}", result, of_exchange=True)
        self.acknowledged += result["answered"]
        self.fills += result["fills"] // 2
        return result

    def run_echo(self, name: str, **arguments: Any) -> dict[str, Any]:
        result = self.of_echo.run(**self._scheduled(arguments))
        answers.check_run(f"echo, {name}", result, of_exchange=False)
        return result

    def _scheduled(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return {"shortest_nap_ns": SHORTEST_NAP_NS[self.placement.fifo], **arguments}


def measure(
    setting: Setting, scale: Scale, placement: Placement, folder: Path, say: Say
) -> SettingResult:
    """One setting with all its loads, over a folder that it may fill."""
    take = measure_mixed if setting.stream == "mixed" else measure_stream
    return take(setting, scale, placement, folder, say)


def accounts_of(setting: Setting) -> list[int]:
    """Everybody who trades in a setting."""
    of_clients = (orders.accounts_of(client, setting.stream) for client in range(setting.clients))
    return sorted({account for accounts in of_clients for account in accounts})


@contextmanager
def serving(
    setting: Setting, placement: Placement, folder: Path, shapes: list[list[Any]], **settings: Any
) -> Iterator[Servers]:
    """A node and an echo with their clients logged in; without shapes they are asked of the node."""
    settings = {
        "stream": setting.stream,
        "batch": setting.batch,
        "clients": setting.clients,
        "deposit": DEPOSIT_ATOMS,
        **settings,
    }
    with ExitStack() as stack:

        def started(worker: W) -> W:
            stack.enter_context(stopping(worker))
            return worker

        key_files = write_keys(folder / "keys", accounts_of(setting)) if setting.curve else None
        node = started(
            Node(folder, setting.durability, placement, key_files=key_files, loop=setting.loop)
        )
        of_node = started(LoadProcess(node, placement, **settings))
        shapes = shapes or of_node.probe()
        before = node.admin.status()["sequence"]
        echo = started(Echo(shapes, placement, key_files))
        of_echo = started(LoadProcess(echo, placement, **settings))
        yield Servers(node, of_node, of_echo, placement, before)


def measure_stream(
    setting: Setting, scale: Scale, placement: Placement, folder: Path, say: Say
) -> SettingResult:
    with serving(setting, placement, folder, []) as servers:
        with listening(setting, servers) as heard:
            count = max(1, scale.warmup_orders // setting.batch)
            in_flight = max(IN_FLIGHT, setting.batch * setting.clients)
            warm = servers.run_exchange("warm-up", messages=count, in_flight=in_flight)
            answers.check_accepted(setting.name, warm)
            measured = [in_turns(setting, load, scale, servers, say) for load in setting.loads]
        checked = check_end(setting.name, servers)
    return SettingResult(measured, checked, heard)


def in_turns(setting: Setting, load: Load, scale: Scale, servers: Servers, say: Say) -> Measured:
    """One load on the exchange and on the echo, so many rounds."""
    name = f"{setting.name}: {load.name}"
    arguments = load.arguments(scale.seconds, setting.batch, setting.clients)
    measured = Measured(setting, load, new_side(), new_side())
    for _ in range(scale.rounds):
        result = servers.run_exchange(name, **arguments)
        answers.check_accepted(name, result)
        measured.exchange.add(result, load.orders_per_second > 0)
        measured.echo.add(servers.run_echo(name, **arguments), load.orders_per_second > 0)
    say(name)
    return measured


def new_side() -> Side:
    return Side(Latencies(), Latencies())


@contextmanager
def listening(setting: Setting, servers: Servers) -> Iterator[list[list[int]]]:
    """Subscribers for as long as it lasts; then the list holds what each of them heard."""
    heard: list[list[int]] = []
    if not setting.subscribers and not setting.stalled:
        yield heard
        return
    listeners = Listeners(servers.node, setting.subscribers, setting.stalled, servers.placement)
    with stopping(listeners):
        yield heard
        heard += listeners.counts()


def check_end(name: str, servers: Servers) -> Checked:
    """Stops the node and compares where it ended with its journal."""
    node = servers.node
    status = node.admin.status()
    servers.of_node.stop()
    node.stop()
    checked = answers.check_journal(
        name, node.folder / "data", status, servers.before + servers.acknowledged
    )
    checked.acknowledged, checked.fills = servers.acknowledged, servers.fills
    return checked


# --------------------------------------------------------------------------------------- the mixed workload


def measure_mixed(
    setting: Setting, scale: Scale, placement: Placement, folder: Path, say: Say
) -> SettingResult:
    """The workload once in each round, every time on a fresh node, since it names orders by their ids."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "mixed.bin"
    workloads.write("mixed", scale.mixed_orders, 1, file)
    shapes = mixed_shapes(file)
    (load,) = setting.loads
    measured = Measured(setting, load, new_side(), new_side())
    for round_ in range(scale.rounds):
        node_folder = folder / str(round_)
        with serving(setting, placement, node_folder, shapes, file=str(file)) as servers:
            checked = one_mixed(measured, servers, file)
    say(f"{setting.name}: {load.name}")
    return SettingResult([measured], checked)


def one_mixed(measured: Measured, servers: Servers, file: Path) -> Checked:
    setting, load = measured.setting, measured.load
    name = f"{setting.name}: {load.name}"
    arguments = load.arguments(1.0, setting.batch, 1)
    arguments.pop("milliseconds", None)
    arguments["messages"] = servers.of_node.messages
    arguments["warmup"] = servers.of_node.messages // 20
    is_open = load.orders_per_second > 0
    kept = servers.node.folder / "kept"
    result = servers.run_exchange(name, **arguments, keep=str(kept))
    measured.exchange.add(result, is_open)
    measured.echo.add(servers.run_echo(name, **arguments), is_open)
    answers.check_mixed(name, kept.read_bytes(), file, DEPOSIT_ATOMS, result["answered"])
    return check_end(name, servers)


def mixed_shapes(file: Path) -> list[list[Any]]:
    """For each kind of command its size, and a reply of the mean size that an engine gives to it."""
    sizes: dict[int, list[int]] = {}
    commands = orders.mixed_commands(file)
    replies = answers.replies_of(file, DEPOSIT_ATOMS, len(commands))
    for command, reply in zip(commands, replies, strict=True):
        sizes.setdefault(command.number, []).append(len(reply))
    command_bytes = {command.number: len(command.data) for command in commands}
    shapes = []
    for number, of_kind in sizes.items():
        reply, id_at = orders.padded_reply(round(statistics.mean(of_kind)))
        shapes.append([number, command_bytes[number], reply.hex(), id_at])
    return shapes
