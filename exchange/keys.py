"""Key files: the node's own pair, one for each client, and the list of who is authorised.

Theory of operation.  Everybody has a pair of CURVE keys, written as 40 characters (Z85).  A folder holds those of one
exchange::

    keys/server.toml            the node's pair; secret, stays on the node
    keys/authorised_keys.toml   public keys with name, role and accounts; read at the start and again when asked to
    keys/clients/NAME.toml      a client's pair and the node's public key; secret, to be given to the client and removed

All are TOML.  A file with a secret key has mode 0600, and is refused when anybody else may read it; the list is refused
when anybody else may write it.  Files are replaced whole, so that a reader never sees half of one.
"""

from __future__ import annotations

import os
import re
import secrets
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import msgspec
import zmq

from exchange.errors import ExchangeError
from exchange.gateway.permission import NOBODY, ROLES_WITH_ACCOUNTS, Permission, Role
from exchange.protocol.schema import MAX_ACCOUNT

SERVER_FILE = "server.toml"
AUTHORISED_FILE = "authorised_keys.toml"
CLIENTS_FOLDER = "clients"
KEY_CHARACTERS = 40
OTHERS_MAY_READ, OTHERS_MAY_WRITE = 0o077, 0o022
ROLES = tuple(role for role in Role if role is not Role.NOBODY)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
K = TypeVar("K", bound="ServerKeys")


class KeyFileError(ExchangeError):
    """A key file that cannot be used: names the file, what is wrong and what to do."""


class ServerKeys(msgspec.Struct, frozen=True):
    """A pair of keys.  What it prints of itself is not secret."""

    public_key: str
    secret_key: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}(public_key={self.public_key!r})"

    def serve(self, bound: zmq.Socket[bytes]) -> None:
        """Makes a socket, not bound yet, take encrypted connections only."""
        bound.curve_server = True
        bound.curve_publickey = self.public_key.encode()
        bound.curve_secretkey = self.secret_key.encode()


class ClientKeys(ServerKeys, frozen=True):
    """A client's pair, and the public key of the node that it talks to."""

    server_public_key: str

    def connect(self, socket: zmq.Socket[Any]) -> None:
        """Makes a socket, not connected yet, talk to that node alone, encrypted."""
        socket.curve_serverkey = self.server_public_key.encode()
        socket.curve_publickey = self.public_key.encode()
        socket.curve_secretkey = self.secret_key.encode()


#: What a client is told its keys by: a file, keys read already, or None where the node has no encryption.
KeysLike: TypeAlias = ClientKeys | str | os.PathLike[str] | None


def secure(socket: zmq.Socket[Any], keys: ClientKeys | None) -> None:
    """Encrypts a client's socket, not connected yet, where there are keys."""
    if keys is not None:
        keys.connect(socket)


# ---------------------------------------------------------------------------------------- reading pairs


def read_server_keys(folder: Path) -> ServerKeys:
    """The node's pair.

    Raises:
        KeyFileError: the file is missing, broken, or others may read it.
    """
    return _read_pair(folder / SERVER_FILE, ServerKeys)


def read_client_keys(keys: KeysLike, server_public_key: str | None = None) -> ClientKeys | None:
    """A client's keys from its file; None stays None: a node without encryption.

    Args:
        keys: the file that ``exchange keys client`` or ``exchange keys pair`` made, or keys read already.
        server_public_key: of the node, where the file does not name it or another one is meant.

    Raises:
        KeyFileError: the file is missing, broken, or others may read it.
    """
    if keys is None:
        if server_public_key is not None:
            raise KeyFileError("a server's public key without a client's own keys: name keys, too")
        return None
    if not isinstance(keys, ClientKeys):
        given = {} if server_public_key is None else {"server_public_key": server_public_key}
        return _read_pair(Path(keys), ClientKeys, given)
    if server_public_key is None:
        return keys
    check_key("server_public_key", server_public_key)
    return msgspec.structs.replace(keys, server_public_key=server_public_key)


def _read_pair(path: Path, kind: type[K], given: Mapping[str, str] | None = None) -> K:
    table = {**_read_toml(path, OTHERS_MAY_READ), **(given or {})}
    wanted = [field.name for field in msgspec.structs.fields(kind)]
    for field in wanted:
        if field not in table:
            raise KeyFileError(f"{path}: {field} is missing; wanted {', '.join(wanted)}")
        check_key(f"{path}: {field}", table[field])
    if zmq.curve_public(table["secret_key"].encode()) != table["public_key"].encode():
        raise KeyFileError(f"{path}: public_key is not that of secret_key; make a new pair")
    return kind(**{field: table[field] for field in wanted})


def check_key(field: str, value: object) -> None:
    """Whether a text is a key at all; the text is not repeated, it may be a secret."""
    try:
        if isinstance(value, str) and len(value) == KEY_CHARACTERS:
            zmq.curve_public(value.encode("ascii"))
            return
    except (ValueError, UnicodeError, zmq.ZMQError):
        pass
    raise KeyFileError(f"{field}: wanted a key of {KEY_CHARACTERS} characters of Z85")


def _read_toml(path: Path, forbidden_mode: int) -> dict[str, Any]:
    """A file's table, from the very file whose mode was looked at."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            if mode & forbidden_mode:
                what = "read" if forbidden_mode == OTHERS_MAY_READ else "write"
                raise KeyFileError(f"{path}: others may {what} it (mode {mode:04o}); chmod 600 it")
            return tomllib.load(file)
    except OSError as error:
        hint = "`exchange keys` makes key files"
        raise KeyFileError(f"{path}: cannot be read: {error.strerror}; {hint}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{path}: not TOML: {error}") from None


# ------------------------------------------------------------------------------------------- who may come


class AuthorisedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the list: whose public key it is and what it may."""

    name: str
    public_key: str
    role: Role
    accounts: tuple[int, ...] = ()

    def permission(self) -> Permission:
        every = self.role is Role.ADMIN
        return Permission(self.role, None if every else frozenset(self.accounts))

    def as_toml(self) -> str:
        return (
            f'[[key]]\nname = "{self.name}"\npublic_key = "{self.public_key}"\n'
            f'role = "{self.role}"\naccounts = {list(self.accounts)}\n'
        )


def check_authorised(key: AuthorisedKey, where: str) -> None:
    """Raises KeyFileError that says which field may not be so."""
    if not NAME.fullmatch(key.name):
        raise KeyFileError(f"{where}: name is {key.name!r}; wanted letters, digits and . _ -")
    check_key(f"{where}: public_key", key.public_key)
    if key.role not in ROLES:
        raise KeyFileError(f"{where}: role is {key.role}; wanted one of {', '.join(ROLES)}")
    if key.role in ROLES_WITH_ACCOUNTS and not key.accounts:
        raise KeyFileError(f"{where}: accounts is empty; a {key.role} is for at least one account")
    if key.role not in ROLES_WITH_ACCOUNTS and key.accounts:
        raise KeyFileError(f"{where}: accounts is {list(key.accounts)}; a {key.role} has none")
    for account in key.accounts:
        if not 1 <= account <= MAX_ACCOUNT:
            raise KeyFileError(f"{where}: accounts has {account}; wanted 1 .. {MAX_ACCOUNT}")


def read_authorised_keys(folder: Path) -> list[AuthorisedKey]:
    """The list of a folder, checked: every name and every key once.

    Raises:
        KeyFileError: names the file, the key and the field.
    """
    path = folder / AUTHORISED_FILE
    table = _read_toml(path, OTHERS_MAY_WRITE)
    if unknown := sorted(table.keys() - {"key"}):
        raise KeyFileError(f"{path}: unknown key {unknown[0]}; there is [[key]]")
    try:
        keys = msgspec.convert(table.get("key", []), list[AuthorisedKey])
    except msgspec.ValidationError as error:
        raise KeyFileError(f"{path}: {error}") from None
    seen: set[str] = set()
    for key in keys:
        check_authorised(key, f"{path}: key {key.name!r}")
        for once in (key.name, key.public_key):
            if once in seen:
                raise KeyFileError(f"{path}: {once!r} is there twice")
            seen.add(once)
    return keys


class Keyring:
    """The keys that a node knows; read again with ``reload``, from any thread.

    A list that cannot be read changes nothing: the node goes on with the one it has.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = read_server_keys(folder)
        self._keys: dict[str, AuthorisedKey] = {}
        self._permissions: dict[str, Permission] = {}
        self.reload()

    def __len__(self) -> int:
        return len(self._permissions)

    def serve(self, bound: zmq.Socket[bytes]) -> None:
        """Makes a socket, not bound yet, take encrypted connections only."""
        self.server.serve(bound)

    def reload(self) -> list[str]:
        """Reads the list again; returns the names of the keys that are no longer in it.

        Raises:
            KeyFileError: the list may not be; nothing has changed.
        """
        keys = {key.public_key: key for key in read_authorised_keys(self.folder)}
        gone = [self._keys[key].name for key in self._keys.keys() - keys.keys()]
        # One assignment: whoever asks meanwhile sees the old list or the new one.
        self._permissions = {public_key: key.permission() for public_key, key in keys.items()}
        self._keys = keys
        return sorted(gone)

    def permission_of(self, public_key: str) -> Permission:
        return self._permissions.get(public_key, NOBODY)


# ---------------------------------------------------------------------------------------------- writing


def new_pair() -> tuple[str, str]:
    """A public and a secret key."""
    while True:
        public_key, secret_key = zmq.curve_keypair()
        # One in 85 begins like an option, which a command line would take it for.
        if not public_key.startswith(b"-"):
            return public_key.decode(), secret_key.decode()


def write_server_keys(folder: Path) -> ServerKeys:
    """Makes a folder with a new pair for a node and a list in which nobody is yet."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = ServerKeys(*new_pair())
    head = "# The node's pair of keys: whoever has the secret key can pretend to be this exchange."
    _write_new(folder / SERVER_FILE, f"{head}\n{_pair_text(keys)}")
    if not (folder / AUTHORISED_FILE).exists():
        _write_new(folder / AUTHORISED_FILE, _list_text([]))
    return keys


def write_client_keys(path: Path, server_public_key: str, about: str) -> ClientKeys:
    """Makes a new pair for a client; ``about`` is said in the first line of the file."""
    check_key("the server's public key", server_public_key)
    keys = ClientKeys(*new_pair(), server_public_key)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = f'{_pair_text(keys)}server_public_key = "{server_public_key}"\n'
    _write_new(path, f"# {about}: whoever has this file acts as it.\n{text}")
    return keys


def authorise(folder: Path, key: AuthorisedKey) -> None:
    """Adds a key to the list; a running node has it after its next reload."""
    check_authorised(key, f"key {key.name!r}")
    keys = read_authorised_keys(folder)
    for other in keys:
        if other.name == key.name or other.public_key == key.public_key:
            raise KeyFileError(
                f"{folder / AUTHORISED_FILE}: {other.name!r} is there already, as {other.role}: "
                f"revoke it first, or take another name"
            )
    _replace(folder / AUTHORISED_FILE, _list_text([*keys, key]))


def revoke(folder: Path, name: str) -> AuthorisedKey:
    """Takes a key out of the list; a running node cuts its owner at its next reload."""
    keys = read_authorised_keys(folder)
    for key in keys:
        if key.name == name:
            _replace(folder / AUTHORISED_FILE, _list_text(other for other in keys if other != key))
            return key
    known = ", ".join(key.name for key in keys) or "none"
    raise KeyFileError(f"{folder / AUTHORISED_FILE}: no key {name!r}; there are {known}")


def _pair_text(keys: ServerKeys) -> str:
    return f'public_key = "{keys.public_key}"\nsecret_key = "{keys.secret_key}"\n'


def _list_text(keys: Iterable[AuthorisedKey]) -> str:
    head = (
        "# Who may come in: public keys with role and accounts.  `exchange keys` edits this file, and so may you;\n"
        "# a running node reads it again on SIGHUP, or when the operator asks it to (reload_keys).\n"
    )
    return "\n".join([head, *(key.as_toml() for key in keys)])


def _write_new(path: Path, text: str) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyFileError(
            f"{path} is there already: move it away if you mean to replace it"
        ) from None
    with os.fdopen(handle, "w") as file:
        file.write(text)


def _replace(path: Path, text: str) -> None:
    """The whole file or none of it, with the mode that it had."""
    mode = path.stat().st_mode & 0o777
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    _write_new(beside, text)
    beside.chmod(mode)
    beside.replace(path)
