"""Writing events: packed records appended to the batch's buffer.

The buffer is reserved address space, so writing never reallocates and never fails half-way; a batch that would
fill it (gigabytes of events) is a fault.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from native.core cimport ORDER_FLAGS, Core, Position, QueuedPool, account_at, ensure
from native.units cimport rarely
from native.wire cimport *

cdef enum:
    EVENTS_MARGIN = 4096               # room past the end, so that a full buffer is noticed and not overrun
    FAULT_EVENTS_FULL = 1

cdef inline void* event_new(Core* core, uint16_t kind, uint16_t size, uint32_t account) noexcept nogil:
    """Room for one event record with its header filled in."""
    cdef char* record = core.events_at
    cdef wire_event_header* header = <wire_event_header*>record
    if rarely(record >= core.events_full):
        ensure(core, False, FAULT_EVENTS_FULL)
    else:
        core.events_at = record + size
    header.type = kind
    header.size = size
    header.account = account
    header.sequence = core.sequence
    return record

cdef inline void event_accepted(
    Core* core, uint32_t account, uint16_t command, uint64_t order_id, uint64_t client_order_id
) noexcept nogil:
    cdef wire_accepted* e = <wire_accepted*>event_new(core, EVENT_ACCEPTED, sizeof(wire_accepted), account)
    e.timestamp_ns = core.timestamp_ns
    e.command = command
    e.order_id = order_id
    e.client_order_id = client_order_id

cdef inline void event_rejected(
    Core* core, uint32_t account, uint16_t command, int reason, uint64_t client_order_id
) noexcept nogil:
    cdef wire_rejected* e = <wire_rejected*>event_new(core, EVENT_REJECTED, sizeof(wire_rejected), account)
    e.timestamp_ns = core.timestamp_ns
    e.command = command
    e.reason = <uint16_t>reason
    e.client_order_id = client_order_id

cdef inline void event_order_rested(
    Core* core, Position* position, int side, uint32_t flags,
    uint64_t order_id, uint64_t client_order_id, int64_t price_ticks, int64_t open_lots
) noexcept nogil:
    cdef wire_order_rested* e = <wire_order_rested*>event_new(
        core, EVENT_ORDER_RESTED, sizeof(wire_order_rested), position.account)
    e.symbol = position.symbol
    e.side = <uint8_t>side
    e.leg = <uint8_t>position.leg
    e.flags = flags & ORDER_FLAGS
    e.order_id = order_id
    e.client_order_id = client_order_id
    e.price_ticks = price_ticks
    e.open_lots = open_lots

cdef inline void event_order_cancelled(
    Core* core, Position* position, int side, int place, int reason,
    uint64_t order_id, uint64_t client_order_id, int64_t price_ticks, int64_t open_lots
) noexcept nogil:
    cdef wire_order_cancelled* e = <wire_order_cancelled*>event_new(
        core, EVENT_ORDER_CANCELLED, sizeof(wire_order_cancelled), position.account)
    e.symbol = position.symbol
    e.side = <uint8_t>side
    e.place = <uint8_t>place
    e.reason = <uint8_t>reason
    e.order_id = order_id
    e.client_order_id = client_order_id
    e.price_ticks = price_ticks
    e.open_lots = open_lots

cdef inline void event_order_reduced(
    Core* core, Position* position, int side, int place,
    uint64_t order_id, uint64_t client_order_id, int64_t price_ticks, int64_t reduced_lots, int64_t open_lots
) noexcept nogil:
    cdef wire_order_reduced* e = <wire_order_reduced*>event_new(
        core, EVENT_ORDER_REDUCED, sizeof(wire_order_reduced), position.account)
    e.symbol = position.symbol
    e.side = <uint8_t>side
    e.place = <uint8_t>place
    e.order_id = order_id
    e.client_order_id = client_order_id
    e.price_ticks = price_ticks
    e.reduced_lots = reduced_lots
    e.open_lots = open_lots

cdef inline void event_balance_changed(
    Core* core, uint32_t account, Position* position, int cause, int64_t wallet_change_atoms, int64_t margin_change_atoms
) noexcept nogil:
    """Money of an account moved, and has moved already; `position` is NULL where only the wallet is concerned."""
    cdef wire_balance_changed* e = <wire_balance_changed*>event_new(
        core, EVENT_BALANCE_CHANGED, sizeof(wire_balance_changed), account)
    e.symbol = position.symbol if position != NULL else 0
    e.leg = <uint8_t>position.leg if position != NULL else 0
    e.cause = <uint8_t>cause
    e.wallet_change_atoms = wallet_change_atoms
    e.margin_change_atoms = margin_change_atoms
    e.wallet_atoms = account_at(core, account).wallet_atoms
    e.margin_atoms = position.margin_atoms if position != NULL else 0

cdef inline void event_pool(
    Core* core, uint16_t kind, QueuedPool* pool, int64_t equity_atoms, int64_t maintenance_atoms
) noexcept nogil:
    """liquidation_started or liquidation_ended: their records are alike."""
    cdef wire_liquidation_started* e = <wire_liquidation_started*>event_new(
        core, kind, sizeof(wire_liquidation_started), pool.account_number)
    e.symbol = pool.symbol
    e.leg = <uint8_t>pool.leg
    e.equity_atoms = equity_atoms
    e.maintenance_atoms = maintenance_atoms
