"""The canonical state: one sequence of bytes for one state, out (snapshot) and in (restore).

The layout is that of ``docs/reference/state.md``, six parts packed little-endian.  Default accounts and
settings are left out, so that two engines that know the same agree, whatever they have been asked before.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from exchange.protocol.schema import COMMAND_BY_NAME, COMMAND_HEADER, MAX_ACCOUNT
from exchange.reference.listing import Policy
from exchange.reference.state import Account, Order, Pool, Position, State

MAGIC = b"PXS1"
HEAD = struct.Struct("<4sQQqq")
COUNT = struct.Struct("<I")
MARK = struct.Struct("<q")
FUND = struct.Struct("<Iq")
ACCOUNT = struct.Struct("<IqqB")
POSITION = struct.Struct("<IIqqqqIBB")
ORDER = struct.Struct("<IBBIQIqqqQ")
LISTING_BYTES = COMMAND_BY_NAME["list_symbol"].size - struct.calcsize(
    "<" + COMMAND_HEADER.body_format
)

LIQUIDATING = 1
UNCOVERED = 2


# ------------------------------------------------------------------------------------------------ snapshot


def snapshot(state: State) -> bytes:
    """The canonical state (docs/reference/state.md)."""
    parts = [
        HEAD.pack(
            MAGIC, state.next_order_id, state.next_trade_id, state.fees_atoms, state.deposits_atoms
        )
    ]
    for records in (
        [symbol.listing + MARK.pack(symbol.mark_ticks) for symbol in state.symbols.values()],
        [FUND.pack(fund, balance) for fund, balance in sorted(state.funds.items()) if balance],
        [pack_account(a) for a in state.accounts.values() if is_noted(a.cross)],
        [pack_position(p) for p in positions(state) if not p.is_default],
        [pack_order(order) for symbol in state.symbols.values() for order in symbol.book],
    ):
        parts.append(COUNT.pack(len(records)))
        parts.extend(records)
    return b"".join(parts)


def is_noted(pool: Pool) -> bool:
    return bool(pool.balance_atoms or pool.drawn_atoms or pool.flags)


def positions(state: State) -> Iterator[Position]:
    """Every account on every symbol it has met, by account, then symbol."""
    for account in state.accounts.values():
        yield from account.positions.values()


def pack_account(account: Account) -> bytes:
    pool = account.cross
    return ACCOUNT.pack(account.number, pool.balance_atoms, pool.drawn_atoms, pool.flags)


def pack_position(position: Position) -> bytes:
    pool = position.isolated
    return POSITION.pack(
        position.owner.number,
        position.symbol.number,
        position.lots,
        position.entry_value_atoms,
        pool.balance_atoms,
        pool.drawn_atoms,
        position.own_rate_ppm,
        position.mode,
        pool.flags,
    )


def pack_order(order: Order) -> bytes:
    return ORDER.pack(
        order.symbol,
        order.side,
        order.self_trade,
        order.flags,
        order.order_id,
        order.account,
        order.price_ticks,
        order.open_lots,
        order.filled_lots,
        order.client_order_id,
    )


# ------------------------------------------------------------------------------------------------- restore


class Reader:
    """Reads packed records one after the other and says where the bytes end too early."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    def take(self, size: int) -> bytes:
        if self.offset + size > len(self.data):
            raise ValueError(
                f"a canonical state of more than {len(self.data)} bytes was wanted: "
                f"{size} bytes are missing at {self.offset}; the snapshot is cut short"
            )
        self.offset += size
        return self.data[self.offset - size : self.offset]

    def unpack(self, record: struct.Struct) -> tuple[int, ...]:
        return record.unpack(self.take(record.size))

    def repeat(self) -> range:
        """As many turns as the count that comes next."""
        return range(self.unpack(COUNT)[0])


def restore(data: bytes) -> State:
    """The state that ``snapshot`` wrote: same bytes, and the same behaviour from there on."""
    reader, state = Reader(data), State()
    magic, *head = HEAD.unpack(reader.take(HEAD.size))
    if magic != MAGIC:
        raise ValueError(f"a canonical state starts with {MAGIC!r}, this one with {magic!r}")
    state.next_order_id, state.next_trade_id, state.fees_atoms, state.deposits_atoms = head
    for _ in reader.repeat():
        symbol = Policy(reader.take(LISTING_BYTES)).symbol()
        (symbol.mark_ticks,) = reader.unpack(MARK)
        state.symbols[symbol.number] = symbol
    for _ in reader.repeat():
        fund, balance = reader.unpack(FUND)
        state.funds[fund] = balance
    for _ in reader.repeat():
        number, wallet, drawn, flags = reader.unpack(ACCOUNT)
        restore_pool(state.account(number).cross, wallet, drawn, flags)
    for _ in reader.repeat():
        restore_position(state, reader.unpack(POSITION))
    for _ in reader.repeat():
        # In each level the orders come in the order of their queue, so resting them in turn restores it.
        state.rest(unpack_order(reader.unpack(ORDER)))
    if reader.offset != len(data):
        raise ValueError(
            f"a canonical state of {reader.offset} bytes was wanted, {len(data)} came: "
            "the snapshot is not of this exchange, or damaged"
        )
    return state


def restore_pool(pool: Pool, balance: int, drawn: int, flags: int) -> None:
    pool.balance_atoms, pool.drawn_atoms = balance, drawn
    pool.liquidating, pool.uncovered = bool(flags & LIQUIDATING), bool(flags & UNCOVERED)


def restore_position(state: State, values: tuple[int, ...]) -> None:
    account, symbol, lots, entry_value, margin, drawn, own_rate, mode, flags = values
    if symbol not in state.symbols or not 1 <= account <= MAX_ACCOUNT:
        raise ValueError(f"account {account} on symbol {symbol}: there is no such place")
    position = state.position(account, symbol)
    state.move_position(position, lots, entry_value)
    position.own_rate_ppm, position.mode = own_rate, mode
    restore_pool(position.isolated, margin, drawn, flags)


def unpack_order(values: tuple[int, ...]) -> Order:
    symbol, side, self_trade, flags, order_id, account, price, open_lots, filled, client = values
    return Order(
        account=account,
        symbol=symbol,
        side=side,
        price_ticks=price,
        open_lots=open_lots,
        order_id=order_id,
        client_order_id=client,
        flags=flags,
        self_trade=self_trade,
        filled_lots=filled,
    )
