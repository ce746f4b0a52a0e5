"""Metrics and health of a real node, over HTTP, against traffic that was counted by hand."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from exchange.client.errors import RequestRefused
from exchange.config import MetricsConfig
from exchange.errors import Rejected
from exchange.gateway.connection import Query
from exchange.gateway.sessions import Session
from exchange.ops.http import MAX_CONNECTIONS

BTC = "BTC-PERP"
LISTEN = MetricsConfig(listen="127.0.0.1:*")
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def get(node: Any, path: str, accept: str = "") -> tuple[int, str]:
    request = urllib.request.Request(
        f"http://{node.node.ops.address}{path}", headers={"Accept": accept}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def scrape(node: Any) -> Callable[..., float]:
    """Reads metrics; the function returned gives the value of one sample."""
    status, text = get(node, "/metrics")
    assert status == 200
    samples = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }

    def value(name: str, **labels: str) -> float:
        return samples[name, frozenset(labels.items())]

    return value


def wait_for(node: Any, name: str, wanted: float) -> Callable[..., float]:
    """Scrapes until a metric has a value; other threads than the loop may take a moment."""
    for _ in range(500):
        value = scrape(node)
        if value(name) == wanted:
            return value
        threading.Event().wait(0.01)
    raise AssertionError(f"{name} is {value(name)}, wanted {wanted}")


@pytest.fixture
def watched(start_node) -> Any:
    return start_node(metrics=LISTEN)


def test_metrics_are_what_was_sent(watched) -> None:
    maker, taker = watched.client(7), watched.client(8)
    maker.deposit(1000)
    taker.deposit(1000)
    maker.limit(BTC, "sell", "0.010", "60000")
    taker.limit(BTC, "buy", "0.004", "60000")
    with pytest.raises(Rejected, match="price_out_of_band"):
        taker.limit(BTC, "buy", "0.001", "90000")
    with pytest.raises(RequestRefused, match="not_logged_in"):
        maker.account(9)
    value = scrape(watched)
    assert value("exchange_commands_total", type="place_order") == 3
    assert value("exchange_commands_total", type="deposit") == 2
    assert value("exchange_commands_total", type="cancel_order") == 0
    assert value("exchange_events_total", type="fill") == 2
    assert value("exchange_rejects_total", reason="price_out_of_band") == 1
    assert value("exchange_rejects_total", reason="insufficient_margin") == 0
    assert value("exchange_refusals_total", code="malformed") == 0
    assert value("exchange_fills_total", role="taker") == 1
    assert value("exchange_fill_value_total", role="maker") == 240
    assert value("exchange_round_commands_sum") == 5
    assert value("exchange_sequence") == 4 + 5
    assert value("exchange_journal_lag_commands") == 0
    assert value("exchange_in_flight_commands") == 0
    assert value("exchange_sessions", door="orders", state="active") == 2
    assert value("exchange_fund_balance", fund="0") == 1_000_000
    assert value("exchange_mark_price", symbol=BTC) == 60_000
    assert value("exchange_open_interest", symbol=BTC) == 0.004
    assert value("exchange_uncovered") == 0
    assert value("exchange_phase", phase="serving") == 1
    rounds = value("exchange_round_commands_count")
    for stage in ("receive", "decode", "journal", "apply", "tell", "send"):
        assert value("exchange_stage_seconds_count", stage=stage) >= rounds > 0
    assert value("exchange_journal_sync_seconds_count") >= 1
    assert value("exchange_journal_sync_seconds_bucket", le="+Inf") == value(
        "exchange_journal_sync_seconds_count"
    )
    assert value("process_resident_memory_bytes") > 1 << 20


def test_refusals_are_counted_by_code(watched) -> None:
    client = watched.client(7)
    client._link.socket.send(b"\xc1")
    client._link.socket.send(b"hello")
    for _ in range(2):
        assert client._link.socket.poll(5000)
        client._link.socket.recv()
    assert scrape(watched)("exchange_refusals_total", code="malformed") == 2


def test_a_muted_session_and_what_it_sent_unread_are_counted(watched) -> None:
    client = watched.client(7)
    for _ in range(120):  # 100 refusals, the one that mutes, and 19 that nobody reads
        client._link.socket.send(b"\xc1")
    for _ in range(101):
        assert client._link.socket.poll(5000)
        client._link.socket.recv()
    value = wait_for(watched, "exchange_frames_muted_total", 19)
    assert value("exchange_sessions_muted_total") == 1
    assert value("exchange_refusals_total", code="malformed") == 100
    assert value("exchange_refusals_total", code="rate_limited") == 1
    assert [event.name for event in watched.logged if event.name.startswith("session")] == [
        "session_muted"
    ]


def test_what_is_remembered_for_who_comes_back_shows(watched) -> None:
    watched.client(7).deposit(1)
    value = scrape(watched)
    assert 0 < value("exchange_remembered_bytes") < value("exchange_remembered_bytes_limit")
    assert value("exchange_sessions_catching_up") == 0


def test_snapshots_are_counted(watched) -> None:
    assert scrape(watched)("exchange_snapshots_total") == 0
    watched.admin_client().take_snapshot()
    value = scrape(watched)
    assert value("exchange_snapshots_total") == 1
    assert value("exchange_snapshots_failed_total") == 0


def test_connections_are_counted(watched) -> None:
    before = scrape(watched)("exchange_connections")
    watched.client(7)
    value = wait_for(watched, "exchange_connections", before + 1)
    assert value("exchange_connections_cut_total") == 0
    assert value("exchange_handshakes_failed_total") == 0
    assert value("exchange_handshakes_refused_total") == 0


def test_a_liquidation_shows(watched) -> None:
    long, short, admin = watched.client(7), watched.client(8), watched.admin_client()
    long.deposit(100)
    short.deposit(100_000)
    long.set_margin_mode(BTC, "isolated", leverage=100)
    long.limit(BTC, "buy", "0.1", "60000")
    short.market(BTC, "sell", "0.1")
    admin.set_mark(BTC, 58_000)
    value = scrape(watched)
    assert value("exchange_liquidations_total") == 1
    assert value("exchange_fills_total", role="deleveraged") == 1
    assert value("exchange_fund_balance", fund="0") < 1_000_000
    assert 0 <= value("exchange_mark_age_seconds", symbol=BTC) < 60


def test_open_metrics_is_spoken_too(watched) -> None:
    status, text = get(watched, "/metrics", "application/openmetrics-text; version=1.0.0")
    assert status == 200
    names = {family.name for family in open_metrics(text)}
    assert {"exchange_commands", "exchange_held_bytes", "exchange_stage_seconds"} <= names


def test_a_node_that_serves_is_healthy_and_ready(watched) -> None:
    status, text = get(watched, "/healthz")
    body = json.loads(text)
    assert (status, body["healthy"], body["phase"]) == (200, True, "serving")
    status, text = get(watched, "/readyz")
    assert (status, json.loads(text)) == (200, {"ready": True, "phase": "serving", "problems": []})


def test_a_node_that_drains_is_healthy_and_not_ready(watched) -> None:
    watched.client(7)
    watched.node.drain(3600)
    assert get(watched, "/healthz")[0] == 200
    status, text = get(watched, "/readyz")
    (problem,) = json.loads(text)["problems"]
    assert (status, problem["check"]) == (503, "draining")


def test_a_disk_without_room_for_the_journal_is_not_ready(watched, monkeypatch) -> None:
    monitor = watched.node.ops.monitor
    assert scrape(watched)("exchange_journal_free_bytes") > monitor.wanted_bytes
    monitor.free_bytes = lambda: 100_000
    status, text = get(watched, "/readyz")
    assert (status, [p["check"] for p in json.loads(text)["problems"]]) == (503, ["disk"])
    assert "100000 bytes are free" in text

    def gone() -> int:
        raise OSError(2, "No such file or directory")

    monitor.free_bytes = gone
    assert get(watched, "/readyz")[0] == 200
    watched.node.journal._segments.problem = "No space left on device"
    assert [p["check"] for p in json.loads(get(watched, "/readyz")[1])["problems"]] == ["disk"]
    assert scrape(watched)("exchange_journal_tight") == 1
    watched.node.journal._segments.problem = ""
    assert scrape(watched)("exchange_journal_tight") == 0


def test_a_loop_that_does_not_turn_is_found_out(start_node, config) -> None:
    metrics = msgspec.structs.replace(LISTEN, healthy_within_ms=50)
    node = start_node(metrics=metrics)
    client = node.client(7, timeout_s=30)
    stuck, go_on = threading.Event(), threading.Event()
    answer = node.node.queries.answer

    def think(session: Session, query: Query) -> bytes:
        """In a long computation."""
        stuck.set()
        assert go_on.wait(30)
        return answer(session, query)

    node.node.queries.answer = think
    asking = threading.Thread(target=client.funds)
    asking.start()
    assert stuck.wait(10)
    assert get(node, "/healthz")[0] == 503
    assert [p["check"] for p in json.loads(get(node, "/readyz")[1])["problems"]] == ["loop"]
    assert get(node, "/metrics")[0] == 200  # with the gauges of the last reading, if there is one
    go_on.set()
    asking.join()
    assert get(node, "/healthz")[0] == 200


def test_what_is_no_request_is_answered_and_takes_no_room(watched) -> None:
    assert get(watched, "/")[0] == 404
    host, port = watched.node.ops.address.split(":")
    for sent, status in ((b"\r\n\r\n", b"400"), (b"POST /metrics HTTP/1.1\r\n\r\n", b"405")):
        with socket.create_connection((host, int(port)), timeout=10) as raw:
            raw.sendall(sent)
            assert raw.recv(100).split(b" ")[1] == status
    silent = [socket.create_connection((host, int(port))) for _ in range(MAX_CONNECTIONS - 1)]
    assert get(watched, "/readyz")[0] == 200
    for connection in silent:
        connection.close()


def test_it_is_off_unless_it_is_asked_for(node) -> None:
    assert node.node.ops.address == ""
    assert node.admin_client().status()["metrics"] == ""


def test_without_the_package_health_is_told_and_metrics_say_what_to_install(
    start_node, monkeypatch
) -> None:
    monkeypatch.setattr("exchange.ops.desk.importlib.util.find_spec", lambda name: None)
    node = start_node(metrics=LISTEN)
    assert get(node, "/healthz")[0] == 200
    status, text = get(node, "/metrics")
    assert status == 501
    assert "pip install 'perpetual-exchange[ops]'" in text
    assert [event.name for event in node.logged] == ["metrics_unavailable", "node_ready"]


def test_an_address_that_is_taken_is_one_clear_line(watched, config) -> None:
    from exchange.node import Node
    from exchange.ops.http import MetricsBindError

    taken = msgspec.structs.replace(
        config, data=config.data / "other", metrics=MetricsConfig(watched.node.ops.address)
    )
    with pytest.raises(MetricsBindError, match=r"metrics\.listen: cannot listen on 127"):
        Node(taken)
