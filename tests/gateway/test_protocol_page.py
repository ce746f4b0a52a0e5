"""The protocol's page says byte for byte what a node says, and its tables are those of the code."""

from __future__ import annotations

from pathlib import Path

import conversation
import pytest

from exchange.gateway import session_page
from exchange.protocol import wire

PAGE = conversation.PAGE.read_text()
MESSAGES = conversation.read(PAGE)


def test_the_conversation_on_the_page_is_what_a_node_says(tmp_path: Path) -> None:
    held = [(mark, what) for mark, what in conversation.record(tmp_path / "data") if mark in "→←"]
    assert [mark for mark, _ in held] == [mark for mark, _ in MESSAGES]
    for (_, said), (_, written) in zip(held, MESSAGES, strict=True):
        assert conversation.without_variable(said) == conversation.without_variable(written)


@pytest.mark.parametrize("mark", "→←")
def test_every_message_on_the_page_is_read_by_both_codecs(mark: str) -> None:
    payloads = [
        payload
        for direction, payload in MESSAGES
        if direction == mark and payload[1] != 0 and payload[0] & 0xF0 == 0x90
    ]
    assert len(payloads) >= 3
    for payload in payloads:
        if mark == "→":
            assert wire.decode_commands(payload) == wire.decode_commands_python(payload)
        else:
            assert wire.decode_stream(payload) == wire.decode_stream_python(payload)


def test_the_page_and_the_picture_have_the_table_of_a_sessions_life() -> None:
    assert session_page.with_table(PAGE) == PAGE, "run python -m exchange.gateway.session_page"
    assert session_page.PICTURE.read_text() == session_page.render_picture()
