"""Other engines in the benchmarks: where their sources are looked for, and that a wrong answer of one ends the run."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import measuring
import peers
import pytest
import run as all_benchmarks


def made(file: Path, text: str = "") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def checkout(folder: Path, common: Path) -> Path:
    """What a checkout of CppTrader has as far as the benchmark looks, with CppCommon as ``common``."""
    made(folder / peers.CPPTRADER_HAS)
    made(folder / "include/trader/version.h", 'const char version[] = "1.2.3.4";\n')
    made(common / peers.CPPCOMMON_HAS)
    return folder


def test_cppcommon_is_found_in_the_modules_and_beside(tmp_path: Path) -> None:
    inside = checkout(tmp_path / "a/CppTrader", tmp_path / "a/CppTrader/modules/CppCommon")
    beside = checkout(tmp_path / "b/CppTrader", tmp_path / "b/CppCommon")
    made(tmp_path / "b/CppCommon/modules/fmt/include/fmt/args.h")
    assert peers.CppTraderSources(inside).includes == (
        inside / "include",
        inside / "source",
        inside / "modules/CppCommon/include",
    )
    assert peers.CppTraderSources(beside).includes[2:] == (
        tmp_path / "b/CppCommon/include",
        tmp_path / "b/CppCommon/modules/fmt/include",
    )


def test_the_version_of_cpptrader_is_its_own_word(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "CppTrader", tmp_path / "CppCommon")
    assert peers.CppTraderSources(folder).version() == "1.2.3.4"
    made(folder / "include/trader/version.h")
    assert peers.CppTraderSources(folder).version() == "of unknown version"


def test_a_program_is_compiled_anew_when_a_source_of_the_peer_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = made(tmp_path / "compiler", '#!/bin/sh\nfor last; do :; done\ndate >"$last"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    source, header = made(tmp_path / "peer.cpp"), made(tmp_path / "peer.h", "#define LEVELS 1\n")

    def program() -> Path:
        return measuring.compile_program(source, folder=tmp_path, made_with=(header,))

    first = program()
    assert program() == first
    header.write_text("#define LEVELS 2\n")
    assert program() != first


@pytest.mark.parametrize(
    ("there", "wanted"),
    [((), peers.CPPTRADER_HAS), ((peers.CPPTRADER_HAS,), peers.CPPCOMMON_HAS)],
    ids=["no CppTrader", "no CppCommon"],
)
def test_a_folder_that_is_no_checkout_is_told_what_was_wanted(
    tmp_path: Path, there: tuple[str, ...], wanted: str
) -> None:
    for name in there:
        made(tmp_path / name)
    with pytest.raises(SystemExit, match=f"{wanted}.*{tmp_path}.*git clone"):
        peers.CppTraderSources(tmp_path)


def test_a_peer_with_another_answer_ends_the_run(tmp_path: Path) -> None:
    workload = measuring.workload_file("moves", 500, folder=tmp_path)
    said = {**measuring.wanted_answers(workload), "ns_per_message": 1.0}
    said["resting"] += 1
    program = made(tmp_path / "peer", f"#!/bin/sh\necho '{json.dumps(said)}'\n")
    program.chmod(0o755)
    with pytest.raises(SystemExit, match=r"CppTrader on moves-.*: resting should be"):
        measuring.Program("CppTrader", program, workload).run()


def test_only_the_peers_are_told_of_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def ran(command: list[str], **_: object) -> object:
        commands.append(command)
        line = measuring.as_json("example", measuring.Report("A title", [{"what": 1}]))
        return subprocess.CompletedProcess(command, 0, line)

    monkeypatch.setattr(subprocess, "run", ran)
    for name in ("ratio", "peers"):
        all_benchmarks.run(name, True, None, Path("CppTrader"))
    assert "--cpptrader" not in commands[0]
    assert commands[1][-2:] == ["--cpptrader", "CppTrader"]
