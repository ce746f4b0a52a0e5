"""``exchange keys``: makes, lists and takes out the keys of an exchange.

::

    exchange keys server keys                                     # once, on the node
    exchange keys client desk --account 7 --role trader keys      # keys/clients/desk.toml, to be given to the client
    exchange keys client ops --role admin keys
    exchange keys list keys
    exchange keys revoke desk keys                                # then SIGHUP to the node, or reload_keys

A client whose secret key shall not travel makes its pair itself, ``exchange keys pair desk.toml --server 'KEY'``, and
sends the public key, for ``exchange keys client desk --account 7 --public-key 'KEY' keys``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from exchange.gateway.permission import Role
from exchange.keys import (
    AUTHORISED_FILE,
    CLIENTS_FOLDER,
    ROLES,
    AuthorisedKey,
    authorise,
    check_authorised,
    read_authorised_keys,
    read_server_keys,
    revoke,
    write_client_keys,
    write_server_keys,
)


def main(argv: Sequence[str]) -> int:
    """Runs one of the subcommands and returns the exit code."""
    options = build_parser().parse_args(argv)
    run: Callable[[argparse.Namespace], str] = options.run
    print(run(options))
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="exchange keys", description="Keys for encryption and authentication."
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    server = actions.add_parser("server", help="a folder with the node's pair and an empty list")
    server.set_defaults(run=run_server)

    client = actions.add_parser("client", help="a key for a client, put into the list")
    client.add_argument("name", help="of the key: letters, digits and . _ -")
    client.add_argument("--role", choices=ROLES, default=Role.TRADER)
    client.add_argument(
        "--account", type=int, action="append", default=[], help="that it is for; may be repeated"
    )
    client.add_argument(
        "--public-key", help="of a pair that the client made: then no file is made for it"
    )
    client.set_defaults(run=run_client)

    pair = actions.add_parser("pair", help="a pair that a client makes for itself")
    pair.add_argument("--server", required=True, metavar="KEY", help="the node's public key")
    pair.add_argument("file", type=Path, help="to be made")
    pair.set_defaults(run=run_pair)

    listing = actions.add_parser("list", help="who may come in, and the node's public key")
    listing.set_defaults(run=run_list)

    revoking = actions.add_parser("revoke", help="takes a key out of the list")
    revoking.add_argument("name")
    revoking.set_defaults(run=run_revoke)

    for action in (server, client, listing, revoking):
        action.add_argument("folder", type=Path, help="of the keys: [security] keys of the node")
    return parser


def run_server(options: argparse.Namespace) -> str:
    keys = write_server_keys(options.folder)
    return (
        f"{options.folder}: made; name it in the node's configuration: [security] keys = "
        f'"{options.folder}"\nthe node\'s public key: {keys.public_key}'
    )


def run_client(options: argparse.Namespace) -> str:
    server = read_server_keys(options.folder)
    role, accounts = Role(options.role), tuple(sorted(set(options.account)))
    given = options.public_key
    # Checked before a file is made, with a key that is good for the check.
    wanted = AuthorisedKey(options.name, given or server.public_key, role, accounts)
    check_authorised(wanted, f"key {options.name!r}")
    if given:
        authorise(options.folder, wanted)
        return f"{options.name}: authorised as {role}{_for(accounts)}"
    path = options.folder / CLIENTS_FOLDER / f"{options.name}.toml"
    about = f"Keys of {options.name}, {role}{_for(accounts)}"
    keys = write_client_keys(path, server.public_key, about)
    try:
        authorise(options.folder, AuthorisedKey(options.name, keys.public_key, role, accounts))
    except BaseException:
        path.unlink()
        raise
    return f"{path}: give it to the client and remove it here; authorised as {role}{_for(accounts)}"


def run_pair(options: argparse.Namespace) -> str:
    keys = write_client_keys(options.file, options.server, "Keys of a client")
    return (
        f"{options.file}: made, keep it secret\nthe public key to be authorised: {keys.public_key}"
    )


def run_list(options: argparse.Namespace) -> str:
    rows = [("name", "role", "accounts", "public key")]
    rows += [
        (key.name, str(key.role), ",".join(map(str, key.accounts)) or "-", key.public_key)
        for key in read_authorised_keys(options.folder)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        f"{name:<{widths[0]}}  {role:<{widths[1]}}  {accounts:<{widths[2]}}  {key}"
        for name, role, accounts, key in rows
    ]
    lines.append(f"the node's public key: {read_server_keys(options.folder).public_key}")
    return "\n".join(lines)


def run_revoke(options: argparse.Namespace) -> str:
    key = revoke(options.folder, options.name)
    return (
        f"{key.name}: no longer in {options.folder / AUTHORISED_FILE}; a running node knows after SIGHUP, or "
        f"AdminClient.reload_keys()"
    )


def _for(accounts: Sequence[int]) -> str:
    return f" for account {', '.join(map(str, accounts))}" if accounts else ""
