"""Key files: what is written, what is refused and why."""

from __future__ import annotations

from pathlib import Path

import pytest
import zmq

from exchange.cli import main
from exchange.config import load_config, parse_config
from exchange.errors import ConfigError
from exchange.gateway.permission import Role
from exchange.gateway.security.binding import check_binding
from exchange.keys import (
    AuthorisedKey,
    KeyFileError,
    Keyring,
    new_pair,
    read_authorised_keys,
    read_client_keys,
    read_server_keys,
    write_server_keys,
)


def run(*words: object) -> int:
    return main(["keys", *map(str, words)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_server_keys(tmp_path / "keys")
    return tmp_path / "keys"


def test_the_commands_make_a_folder_that_a_node_and_its_clients_can_use(tmp_path, capsys) -> None:
    folder = tmp_path / "keys"
    assert run("server", folder) == 0
    assert run("client", "desk", "--account", 7, "--account", 8, "--role", "trader", folder) == 0
    assert run("client", "ops", "--role", "admin", folder) == 0
    client = read_client_keys(folder / "clients" / "desk.toml")
    assert client is not None
    assert client.server_public_key == read_server_keys(folder).public_key
    permission = Keyring(folder).permission_of(client.public_key)
    assert (permission.role, permission.accounts) == (Role.TRADER, {7, 8})
    capsys.readouterr()
    assert run("list", folder) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[1].split() == ["desk", "trader", "7,8", client.public_key]
    assert table[2].split()[:3] == ["ops", "admin", "-"]
    assert table[3].endswith(client.server_public_key)


def test_secret_files_are_for_their_owner_alone(folder: Path) -> None:
    assert run("client", "desk", "--account", 7, folder) == 0
    for path in (folder / "server.toml", folder / "clients" / "desk.toml"):
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_secret_file_that_others_may_read_is_refused(folder: Path, mode: int) -> None:
    (folder / "server.toml").chmod(mode)
    with pytest.raises(KeyFileError, match=f"others may read it .mode 0{mode:o}.; chmod 600"):
        read_server_keys(folder)


def test_a_list_that_others_may_write_is_refused(folder: Path) -> None:
    path = folder / "authorised_keys.toml"
    path.chmod(0o644)
    assert read_authorised_keys(folder) == []
    path.chmod(0o664)
    with pytest.raises(KeyFileError, match="others may write it"):
        read_authorised_keys(folder)


def test_a_pair_made_by_the_client_is_authorised_by_its_public_key(folder: Path, capsys) -> None:
    mine = folder.parent / "mine.toml"
    server = read_server_keys(folder).public_key
    assert run("pair", "--server", server, mine) == 0
    keys = read_client_keys(mine)
    assert keys is not None
    assert run("client", "mine", "--account", 3, "--public-key", keys.public_key, folder) == 0
    assert Keyring(folder).permission_of(keys.public_key).accounts == {3}
    assert not (folder / "clients").exists()
    assert keys.secret_key not in capsys.readouterr().out


def test_a_revoked_key_is_nobodys_after_the_reload_and_not_before(folder: Path) -> None:
    run("client", "desk", "--account", 7, folder)
    keyring = Keyring(folder)
    (key,) = read_authorised_keys(folder)
    assert run("revoke", "desk", folder) == 0
    assert keyring.permission_of(key.public_key).role == Role.TRADER
    assert keyring.reload() == ["desk"]
    assert keyring.permission_of(key.public_key).role == Role.NOBODY


def test_a_list_that_is_broken_leaves_the_old_one_in_force(folder: Path) -> None:
    run("client", "desk", "--account", 7, folder)
    keyring = Keyring(folder)
    (key,) = read_authorised_keys(folder)
    (folder / "authorised_keys.toml").write_text("[[key]]\nname = ")
    with pytest.raises(KeyFileError, match="not TOML"):
        keyring.reload()
    assert keyring.permission_of(key.public_key).accounts == {7}


KEY = new_pair()[0]
GOOD = {"name": "desk", "public_key": KEY, "role": "trader", "accounts": [7]}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"role": "owner"}, "role"),
        ({"role": "nobody"}, "role is nobody; wanted one of trader, read_only, admin, feed"),
        ({"accounts": []}, "for at least one account"),
        ({"accounts": [0]}, "accounts has 0; wanted 1 .. "),
        ({"accounts": [1 << 30]}, "accounts has 1073741824"),
        ({"role": "admin"}, "an? admin has none"),
        ({"role": "feed"}, "an? feed has none"),
        ({"public_key": KEY[:-1]}, "wanted a key of 40 characters"),
        ({"public_key": KEY[:-1] + "é"}, "wanted a key of 40 characters"),
        ({"name": ""}, "name is ''"),
        ({"name": 'a"b'}, "wanted letters"),
        ({"acounts": [7]}, "acounts"),
    ],
)
def test_a_wrong_line_of_the_list_is_named(folder: Path, change: dict, problem: str) -> None:
    line = {**GOOD, **change}
    text = "\n".join(f"{key} = {value!r}" for key, value in line.items())
    (folder / "authorised_keys.toml").write_text(f"[[key]]\n{text}\n")
    with pytest.raises(KeyFileError, match=problem):
        read_authorised_keys(folder)


def test_no_public_key_looks_like_an_option_of_a_command_line() -> None:
    assert not [key for key, _ in (new_pair() for _ in range(400)) if key.startswith("-")]


def test_a_name_and_a_key_are_there_once(folder: Path) -> None:
    for second in ({**GOOD, "public_key": new_pair()[0]}, {**GOOD, "name": "other"}):
        lines = [
            "[[key]]\n" + "\n".join(f"{key} = {value!r}" for key, value in line.items())
            for line in (GOOD, second)
        ]
        (folder / "authorised_keys.toml").write_text("\n".join(lines))
        with pytest.raises(KeyFileError, match="is there twice"):
            read_authorised_keys(folder)


def test_nothing_is_overwritten_and_what_fails_leaves_nothing_behind(folder: Path, capsys) -> None:
    assert run("server", folder) == 2
    assert "is there already" in capsys.readouterr().err
    assert run("client", "desk", "--account", 7, folder) == 0
    before = (folder / "clients" / "desk.toml").read_text()
    assert run("client", "desk", "--account", 8, folder) == 2
    assert (folder / "clients" / "desk.toml").read_text() == before
    (folder / "clients" / "desk.toml").unlink()
    assert run("client", "desk", "--account", 8, folder) == 2
    assert not (folder / "clients" / "desk.toml").exists()
    assert run("client", "other", "--role", "trader", folder) == 2
    assert not (folder / "clients" / "other.toml").exists()
    assert run("revoke", "nemo", folder) == 2
    assert "there are desk" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "public_key is missing"),
        ('public_key = "short"', "secret_key is missing|wanted a key"),
        ("public_key = 5\nsecret_key = 5", "wanted a key"),
        ("=", "not TOML"),
    ],
)
def test_a_broken_pair_is_refused(folder: Path, text: str, problem: str) -> None:
    (folder / "server.toml").write_text(text)
    with pytest.raises(KeyFileError, match=problem):
        read_server_keys(folder)


def test_the_two_keys_of_a_file_belong_together_and_no_error_tells_the_secret(folder: Path) -> None:
    public_key, secret_key = new_pair()[0], new_pair()[1]
    text = f'public_key = "{public_key}"\nsecret_key = "{secret_key}"\n'
    (folder / "server.toml").write_text(text)
    with pytest.raises(KeyFileError, match="is not that of") as raised:
        read_server_keys(folder)
    assert secret_key not in str(raised.value)
    (folder / "server.toml").write_text(text.replace(secret_key, secret_key + "!"))
    with pytest.raises(KeyFileError, match="wanted a key") as raised:
        read_server_keys(folder)
    assert secret_key not in str(raised.value)


def test_keys_do_not_print_their_secret(folder: Path) -> None:
    keys = read_server_keys(folder)
    assert keys.secret_key not in f"{keys!r} {keys}"
    assert zmq.curve_public(keys.secret_key.encode()).decode() == keys.public_key


def test_a_server_key_without_keys_of_ones_own_is_an_error() -> None:
    with pytest.raises(KeyFileError, match="name keys, too"):
        read_client_keys(None, KEY)


def test_a_list_line_means_what_it_says() -> None:
    admin = AuthorisedKey("ops", KEY, Role.ADMIN).permission()
    assert admin.accounts is None
    assert admin.opens("admin")
    assert not admin.opens("orders")
    feed = AuthorisedKey("feed", KEY, Role.FEED).permission()
    assert (feed.opens("admin"), feed.may_log_in(7)) == (True, False)


# ------------------------------------------------------------------------------------------------ binding

ELSEWHERE = [
    "tcp://*:5555",
    "tcp://0.0.0.0:5555",
    "tcp://10.0.0.5:*",
    "tcp://[::]:5555",
    "tcp://eth0:1",
]


@pytest.mark.parametrize("endpoint", ELSEWHERE)
@pytest.mark.parametrize("door", ["orders", "market_data", "admin"])
def test_a_door_to_the_network_wants_keys_or_force(door: str, endpoint: str) -> None:
    with pytest.raises(ConfigError, match=rf"endpoints\.{door} is .*insecure_bind = true"):
        check_binding({door: endpoint}, has_keys=False, insecure_bind=False)
    assert check_binding({door: endpoint}, has_keys=True, insecure_bind=False) == []
    forced = check_binding({door: endpoint}, has_keys=False, insecure_bind=True)
    assert forced == [(door, endpoint)]


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp://127.0.0.1:5555",
        "tcp://127.8.9.1:1",
        "tcp://[::1]:*",
        "tcp://lo:5",
        "ipc:///run/orders",
    ],
)
def test_loopback_needs_no_keys(endpoint: str) -> None:
    assert check_binding({"admin": endpoint}, has_keys=False, insecure_bind=False) == []


def test_all_doors_are_on_loopback_by_default() -> None:
    endpoints = load_config().endpoints.as_dict()
    assert set(endpoints) == {"orders", "market_data", "admin"}
    assert check_binding(endpoints, has_keys=False, insecure_bind=False) == []


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"insecure_bind": "yes"}, "security.insecure_bind is 'yes'; wanted true or false"),
        ({"keys": 5}, "security.keys is 5; wanted a folder"),
        ({"handshake_ms": 0}, "security.handshake_ms is 0"),
        ({"curve": True}, "unknown key security.curve"),
    ],
)
def test_a_wrong_setting_is_named(setting: dict, problem: str) -> None:
    import tomllib

    from exchange.config import default_text, merge

    tables = merge(tomllib.loads(default_text()), {"security": setting})
    with pytest.raises(ConfigError, match=problem):
        parse_config(tables, "x.toml")
