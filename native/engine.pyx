"""The matching and margin core: batches of command records in, event records out, the GIL released meanwhile.

This is the door between Python and the core.  A batch is checked for form first (sequence numbers, record sizes), so
that either all of it is applied or none; then each command is dispatched, its liquidations are worked off, and the
events are handed out.  The rooms behind are cimported downwards only:

    engine -> pocket, states, lists, canonical, policies -> triggers -> liquidation
            -> deleveraging, auto_margin, amend, pricing, operations, listing -> orders, auction -> checks -> matching
            -> order_life -> waiting -> trailing, timers, remembered -> marks -> warnings -> queue, bankruptcy -> ledger
            -> bands -> credit -> margin -> events, book, order_index, own_orders -> core -> memory, units, wire
"""

import hashlib

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove, memset

from native.amend cimport amend_order
from native.auto_margin cimport set_auto_margin
from native.bankruptcy cimport bankruptcy_price
from native.book cimport book_level, book_next_price
from native.canonical cimport Writer, has_anything, order_record, position_is_default, state_order, write_state
from native.collateral cimport (
    asset_at, change_collateral, counted_parts, holdings_of, list_asset, set_asset_price, set_multi_asset, settle_debts,
)
from native.core cimport (
    WAITING, Account, BookSide, Core, Holdings, Position, Symbol, account_at, account_more, is_large, known_after, order_at,
    pool_of, position_at, symbol_at,
)
from native.deleveraging cimport adl_place, set_adl_policy
from native.doors cimport APPLIED, BROKEN, ENGINE_DOOR, OUT_OF_SEQUENCE, engine_door_t
from native.events cimport event_rejected
from native.funds cimport set_fund_policy
from native.funding cimport average_premium, rate_of, set_funding_policy
from native.ledger cimport fund_balance
from native.legs cimport set_position_mode
from native.lifetime cimport core_close, core_open
from native.liquidation cimport liquidation_drain
from native.listing cimport list_symbol
from native.lists cimport place_orders
from native.lookahead cimport Lookahead, look_ahead, look_from
from native.margin cimport (
    PoolValue, available_with, base_rate, cross_value, liquidation_price, pool_value, position_initial,
    position_maintenance, removable, symbol_initial, unrealised, withdrawable,
)
from native.matching cimport visible_lots
from native.memory cimport memory_forget
from native.operations cimport (
    change_isolated_margin, deposit, deposit_fund, set_margin_mode, set_mark, settle_funding, withdraw,
)
from native.orders cimport cancel_all, cancel_order, place_order, set_countdown, set_stp_group
from native.own_orders cimport own_sort
from native.pocket cimport Pocket, carry_totals, gather_orders, gather_symbols, pocket_close, write_pocket
from native.policies cimport set_brackets, set_risk_limits
from native.pricing cimport set_mark_policy, set_price
from native.restore cimport Reader, read_state
from native.states cimport advance_time, set_symbol_state
from native.timers cimport timer_due
from native.triggers cimport expire, triggers_drain
from native.units cimport apart, apart_int, rarely, usually
from native.warnings cimport set_margin_warnings, warn_noted
from native.wire cimport *

from exchange.errors import CorruptionError, SequenceError
from exchange.protocol.views import (
    AccountView, AssetView, BookView, CollateralView, FundingView, LevelView, OrderView, PositionView, PriceView,
    SymbolView, fifth_of,
)

cdef enum:
    EVENTS_KEPT = 1 << 24              # bytes of the event buffer that stay in memory between batches

FAULTS = {
    1: "the event buffer is full",
    2: "the system gave no memory in the middle of a command",
    3: "an isolated pool was released below zero",
    4: "an insurance fund fell below zero",
    5: "an entry value remained without a position",
    6: "an account's credit was above what it has available",
    7: "an order passed a symbol's exposure limit",
    8: "a mark passed over a pool that is below maintenance",
    9: "a pool was not told that it has reached a warning level",
}

cdef inline bint of_operator(uint16_t kind) noexcept nogil:
    return (kind == COMMAND_LIST_SYMBOL or kind == COMMAND_DEPOSIT_FUND or kind == COMMAND_SET_MARK
            or kind == COMMAND_SETTLE_FUNDING or kind == COMMAND_ADVANCE_TIME or kind == COMMAND_SET_SYMBOL_STATE
            or kind == COMMAND_SET_STP_GROUP or kind == COMMAND_SET_BRACKETS or kind == COMMAND_SET_ADL_POLICY
            or kind == COMMAND_SET_RISK_LIMITS or kind == COMMAND_SET_MARGIN_WARNINGS or kind == COMMAND_SET_FUND_POLICY
            or kind == COMMAND_SET_MARK_POLICY or kind == COMMAND_SET_PRICE or kind == COMMAND_SET_FUNDING_POLICY
            or kind == COMMAND_LIST_ASSET or kind == COMMAND_SET_ASSET_PRICE)

cdef inline uint32_t head_of(uint32_t kind, uint32_t size) noexcept nogil:
    """The first four bytes of a command's record: its type and its size."""
    return kind | size << 16

cdef inline apart_int dispatch_any(Core* core, void* record, uint32_t head, int* refused) noexcept nogil:
    if head == head_of(COMMAND_CANCEL_ALL, sizeof(wire_cancel_all)):
        return cancel_all(core, <wire_cancel_all*>record)
    if head == head_of(COMMAND_SET_COUNTDOWN, sizeof(wire_set_countdown)):
        return set_countdown(core, <wire_set_countdown*>record)
    if head == head_of(COMMAND_SET_MARK, sizeof(wire_set_mark)):
        return set_mark(core, <wire_set_mark*>record)
    if head == head_of(COMMAND_DEPOSIT, sizeof(wire_deposit)):
        return deposit(core, <wire_deposit*>record)
    if head == head_of(COMMAND_WITHDRAW, sizeof(wire_withdraw)):
        return withdraw(core, <wire_withdraw*>record)
    if head == head_of(COMMAND_DEPOSIT_FUND, sizeof(wire_deposit_fund)):
        return deposit_fund(core, <wire_deposit_fund*>record)
    if head == head_of(COMMAND_SET_MARGIN_MODE, sizeof(wire_set_margin_mode)):
        return set_margin_mode(core, <wire_set_margin_mode*>record)
    if head == head_of(COMMAND_CHANGE_ISOLATED_MARGIN, sizeof(wire_change_isolated_margin)):
        return change_isolated_margin(core, <wire_change_isolated_margin*>record)
    if head == head_of(COMMAND_SETTLE_FUNDING, sizeof(wire_settle_funding)):
        return settle_funding(core, <wire_settle_funding*>record)
    if head == head_of(COMMAND_SET_AUTO_MARGIN, sizeof(wire_set_auto_margin)):
        return set_auto_margin(core, <wire_set_auto_margin*>record)
    if head == head_of(COMMAND_SET_POSITION_MODE, sizeof(wire_set_position_mode)):
        return set_position_mode(core, <wire_set_position_mode*>record)
    if head == head_of(COMMAND_LIST_SYMBOL, sizeof(wire_list_symbol)):
        return list_symbol(core, <wire_list_symbol*>record)
    if head == head_of(COMMAND_SET_SYMBOL_STATE, sizeof(wire_set_symbol_state)):
        return set_symbol_state(core, <wire_set_symbol_state*>record)
    if head == head_of(COMMAND_SET_STP_GROUP, sizeof(wire_set_stp_group)):
        return set_stp_group(core, <wire_set_stp_group*>record)
    if head == head_of(COMMAND_SET_PRICE, sizeof(wire_set_price)):
        return set_price(core, <wire_set_price*>record)
    if head == head_of(COMMAND_SET_MARK_POLICY, sizeof(wire_set_mark_policy)):
        return set_mark_policy(core, <wire_set_mark_policy*>record)
    if head == head_of(COMMAND_SET_FUNDING_POLICY, sizeof(wire_set_funding_policy)):
        return set_funding_policy(core, <wire_set_funding_policy*>record)
    if head == head_of(COMMAND_SET_BRACKETS, sizeof(wire_set_brackets)):
        return set_brackets(core, <wire_set_brackets*>record)
    if head == head_of(COMMAND_SET_RISK_LIMITS, sizeof(wire_set_risk_limits)):
        return set_risk_limits(core, <wire_set_risk_limits*>record)
    if head == head_of(COMMAND_SET_FUND_POLICY, sizeof(wire_set_fund_policy)):
        return set_fund_policy(core, <wire_set_fund_policy*>record)
    if head == head_of(COMMAND_SET_MARGIN_WARNINGS, sizeof(wire_set_margin_warnings)):
        return set_margin_warnings(core, <wire_set_margin_warnings*>record)
    if head == head_of(COMMAND_SET_ADL_POLICY, sizeof(wire_set_adl_policy)):
        return set_adl_policy(core, <wire_set_adl_policy*>record)
    if head == head_of(COMMAND_ADVANCE_TIME, sizeof(wire_advance_time)):
        return advance_time(core)
    if head == head_of(COMMAND_LIST_ASSET, sizeof(wire_list_asset)):
        return list_asset(core, <wire_list_asset*>record)
    if head == head_of(COMMAND_SET_ASSET_PRICE, sizeof(wire_set_asset_price)):
        return set_asset_price(core, <wire_set_asset_price*>record)
    if head == head_of(COMMAND_CHANGE_COLLATERAL, sizeof(wire_change_collateral)):
        return change_collateral(core, <wire_change_collateral*>record)
    if head == head_of(COMMAND_SET_MULTI_ASSET, sizeof(wire_set_multi_asset)):
        return set_multi_asset(core, <wire_set_multi_asset*>record)
    if head & 0xffff == COMMAND_PLACE_ORDERS and head >> 16 >= sizeof(wire_place_orders_head) and head >> 16 \
            == sizeof(wire_place_orders_head) + (<wire_place_orders_head*>record).order_count * sizeof(wire_order):
        return place_orders(core, <wire_place_orders*>record, refused)
    return REJECT_REASON_MALFORMED_COMMAND

cdef inline int dispatch(Core* core, void* record, int* refused) noexcept nogil:
    """Carries out one command; returns 0 or the reject reason, and which order of a list it is about."""
    cdef uint32_t head = (<uint32_t*>record)[0]
    if usually(head == head_of(COMMAND_PLACE_ORDER, sizeof(wire_place_order))):
        return place_order(core, <wire_place_order*>record)
    if head == head_of(COMMAND_CANCEL_ORDER, sizeof(wire_cancel_order)):
        return cancel_order(core, <wire_cancel_order*>record)
    if head == head_of(COMMAND_AMEND_ORDER, sizeof(wire_amend_order)):
        return amend_order(core, <wire_amend_order*>record)
    return dispatch_any(core, record, head, refused)

cdef inline uint64_t named_client_order(void* record, uint16_t kind, int refused) noexcept nogil:
    """The client order id that a rejection repeats."""
    if kind == COMMAND_PLACE_ORDER:
        return (<wire_place_order*>record).client_order_id
    if kind == COMMAND_CANCEL_ORDER:
        return (<wire_cancel_order*>record).client_order_id
    if kind == COMMAND_AMEND_ORDER:
        return (<wire_amend_order*>record).client_order_id
    if kind == COMMAND_PLACE_ORDERS and refused >= 0:
        return (<wire_place_orders*>record).orders[refused].client_order_id
    return 0

cdef void result_first(char* expired, char* result) noexcept nogil:
    """Puts a command's result in front of what expired before it acted (MATCH-03)."""
    cdef char[64] kept
    cdef uint16_t size = (<wire_event_header*>result).size
    memcpy(kept, result, size)
    memmove(expired + size, expired, result - expired)
    memcpy(expired, kept, size)

cdef inline apart reject(Core* core, wire_command_header* header, int reason, int refused) noexcept nogil:
    event_rejected(core, 0 if of_operator(header.type) else header.account, header.type, reason,
                   0 if reason == REJECT_REASON_MALFORMED_COMMAND else named_client_order(header, header.type, refused))

cdef inline apart finish(Core* core) noexcept nogil:
    """What a command leaves to its end: debts that assets settle, then who is warned."""
    if core.debtors.end != 0:
        settle_debts(core)
    if core.noted.end != 0:
        warn_noted(core)

cdef inline void apply_one(Core* core, wire_command_header* header) noexcept nogil:
    """One command: what is due before it, its result, its effects, its liquidations, and the triggers that it reaches."""
    cdef char* expired = NULL
    cdef char* result
    cdef int reason
    cdef int refused = -1
    core.sequence = header.sequence
    if header.timestamp_ns > core.timestamp_ns:
        core.timestamp_ns = header.timestamp_ns
    if rarely(timer_due(core)):
        expired = core.events_at
        expire(core)
        result = core.events_at
    reason = dispatch(core, header, &refused)
    if rarely(reason != 0):
        reject(core, header, reason, refused)
    if rarely(core.queue_count != 0):
        liquidation_drain(core)
    if rarely(expired != NULL) and result != expired:
        result_first(expired, result)
    if rarely(core.touched != NULL):
        triggers_drain(core)
    if rarely((core.debtors.end | core.noted.end) != 0):
        finish(core)

cdef int64_t first_misfit(const char* data, int64_t size, uint64_t sequence) noexcept nogil:
    """Where a batch stops being whole records with consecutive sequence numbers; -1: nowhere."""
    cdef const char* at = data
    cdef int64_t left = size
    cdef wire_command_header* header
    while left > 0:
        header = <wire_command_header*>at
        sequence += 1
        if left < <int64_t>sizeof(wire_command_header) or header.size < sizeof(wire_command_header) \
                or header.size > left or header.sequence != sequence:
            return at - data
        at += header.size
        left -= header.size
    return -1

cdef apart apply_batch(Core* core, const char* data, int64_t size) noexcept nogil:
    """All commands of a batch; in a large venue with a look ahead at what the next ones will touch."""
    cdef const char* end = data + size
    cdef wire_command_header* command = <wire_command_header*>data
    cdef bint large = is_large(core)
    cdef Lookahead ahead = look_from(command, end if large else data)
    while <char*>command < end and core.fault == 0:
        if rarely(large):
            look_ahead(core, &ahead)
        apply_one(core, command)
        command = <wire_command_header*>(<char*>command + command.size)

cdef int door_apply(
    void* core_address, const char* commands, int64_t size, const char** events, int64_t* event_bytes
) noexcept nogil:
    cdef Core* core = <Core*>core_address
    if core.fault:
        return BROKEN
    if first_misfit(commands, size, core.sequence) >= 0:
        return OUT_OF_SEQUENCE
    core.events_at = core.events
    apply_batch(core, commands, size)
    events[0] = core.events
    event_bytes[0] = core.events_at - core.events
    return BROKEN if core.fault else APPLIED

cdef void door_forget_events(void* core_address) noexcept nogil:
    cdef Core* core = <Core*>core_address
    if core.events_at - core.events > EVENTS_KEPT:
        memory_forget(core.events, core.events_at - core.events)


cdef class Engine:
    """The native engine.

    Args:
        risk: with False, orders are matched alone: no margin, positions, balances or fees (for measuring).
        prevent_self_trade: with False, an account's orders may trade with each other (for measuring, on
            recorded flows whose answers allow it).
        scan_marks: with True, every mark measures every pool of its symbol, as the rule says it (for measuring).
        prove_marks: with True, a pool that the bands pass over is measured too, and must be at maintenance (for testing).
    """

    cdef Core core
    cdef bint stopped
    cdef engine_door_t c_door

    def __cinit__(
        self, *, bint risk=True, bint prevent_self_trade=True, bint scan_marks=False, bint prove_marks=False,
    ):
        if not core_open(&self.core):
            raise MemoryError(
                "the system gives too little address space (about 2 GB are needed, 130 GB are asked for, and only "
                "what is used is paid for); is there a limit on virtual memory (ulimit -v)?")
        self.core.risk = risk
        self.core.prevent_self_trade = prevent_self_trade
        self.core.scan_marks = scan_marks
        self.core.prove_marks = prove_marks

    def __dealloc__(self):
        core_close(&self.core)

    # --------------------------------------------------------------------------------------- the function

    def apply(self, bytes commands not None):
        """Applies a batch of command records and returns the event records.

        Raises:
            SequenceError: a record is cut short, or a sequence number is not the last one + 1; nothing was applied.
            CorruptionError: an invariant of the core broke; the engine refuses all further work.
        """
        cdef const char* data = PyBytes_AS_STRING(commands)
        cdef int64_t size = len(commands)
        cdef int64_t misfit = first_misfit(data, size, self.core.sequence)
        if misfit >= 0:
            raise SequenceError(
                f"byte {misfit} of the batch should begin a whole record whose sequence follows {self.core.sequence}; "
                "stamp commands in order, and pass whole records")
        self.begin_batch()
        with nogil:
            apply_batch(&self.core, data, size)
        return self.take_events()

    cdef int begin_batch(self) except -1:
        if self.stopped:
            raise CorruptionError("this engine stopped at a broken invariant; replay the journal into a new one")
        self.core.events_at = self.core.events
        return 0

    cdef bytes take_events(self):
        """The event records of the commands just applied."""
        cdef Core* core = &self.core
        cdef int64_t written
        if core.fault:
            self.stopped = True
            raise CorruptionError(f"at command {core.sequence}: {FAULTS[core.fault]}; the engine stops here")
        written = core.events_at - core.events
        events = PyBytes_FromStringAndSize(core.events, written)
        if written > EVENTS_KEPT:
            memory_forget(core.events, written)
        return events

    def door(self):
        """The function in C, for compiled modules (native/doors.pxd), while this engine lives.

        A batch that breaks an invariant there makes the next call here raise CorruptionError.
        """
        self.c_door.core = &self.core
        self.c_door.apply = door_apply
        self.c_door.forget_events = door_forget_events
        return PyCapsule_New(&self.c_door, ENGINE_DOOR, NULL)

    # ------------------------------------------------------------------------------------- one at a time

    cdef bytes apply_single(self, wire_command_header* header, uint16_t kind, uint16_t size, uint32_t account,
                            int64_t timestamp_ns):
        """Stamps a record and applies it; so short a work that the GIL is kept."""
        header.type = kind
        header.size = size
        header.account = account
        header.sequence = self.core.sequence + 1
        header.timestamp_ns = timestamp_ns
        self.begin_batch()
        apply_batch(&self.core, <char*>header, size)
        return self.take_events()

    def place_order(
        self, uint32_t account, uint32_t symbol, uint8_t side, int64_t qty_lots, int64_t price_ticks=0,
        uint8_t order_type=0, uint8_t time_in_force=0, uint32_t flags=0, uint64_t client_order_id=0,
        uint8_t self_trade=0, int64_t timestamp_ns=0
    ):
        """Applies one order as the next command, its record packed here; returns the event records."""
        cdef wire_place_order c
        memset(&c, 0, sizeof(c))
        c.symbol = symbol
        c.side = side
        c.qty_lots = qty_lots
        c.price_ticks = price_ticks
        c.order_type = order_type
        c.time_in_force = time_in_force
        c.flags = flags
        c.client_order_id = client_order_id
        c.self_trade = self_trade
        return self.apply_single(<wire_command_header*>&c, COMMAND_PLACE_ORDER, sizeof(c), account, timestamp_ns)

    def cancel_order(self, uint32_t account, uint64_t order_id, uint64_t client_order_id=0, int64_t timestamp_ns=0):
        """Applies one cancel as the next command; returns the event records."""
        cdef wire_cancel_order c
        memset(&c, 0, sizeof(c))
        c.order_id = order_id
        c.client_order_id = client_order_id
        return self.apply_single(<wire_command_header*>&c, COMMAND_CANCEL_ORDER, sizeof(c), account, timestamp_ns)

    def amend_order(
        self, uint32_t account, uint64_t order_id, int64_t price_ticks=0, int64_t qty_lots=0,
        uint64_t client_order_id=0, int64_t timestamp_ns=0
    ):
        """Applies one change of price or quantity as the next command; returns the event records."""
        cdef wire_amend_order c
        memset(&c, 0, sizeof(c))
        c.order_id = order_id
        c.client_order_id = client_order_id
        c.price_ticks = price_ticks
        c.qty_lots = qty_lots
        return self.apply_single(<wire_command_header*>&c, COMMAND_AMEND_ORDER, sizeof(c), account, timestamp_ns)

    @property
    def sequence(self):
        """Sequence number of the last command applied; 0 at start."""
        return self.core.sequence

    @property
    def timestamp_ns(self):
        """Time of the last command."""
        return self.core.timestamp_ns

    def snapshot(self):
        """The canonical state as bytes (docs/reference/state.md)."""
        cdef Writer writer
        memset(&writer, 0, sizeof(writer))
        write_state(&self.core, &writer)
        state = PyBytes_FromStringAndSize(NULL, writer.size)
        writer.to = PyBytes_AS_STRING(state)
        writer.size = 0
        with nogil:
            write_state(&self.core, &writer)
        return state

    def digest(self):
        """BLAKE2b-128 of the canonical state, in hex."""
        return hashlib.blake2b(self.snapshot(), digest_size=16).hexdigest()

    def restore(self, bytes state not None, sequence, timestamp_ns):
        """Takes over a state that `snapshot` gave; only on a new engine."""
        cdef Reader reader
        if self.core.sequence or self.core.highest_symbol or self.core.highest_account:
            raise ValueError("a state can be restored into a new engine only")
        reader.at = PyBytes_AS_STRING(state)
        reader.left = len(state)
        read_state(&self.core, &reader)
        self.core.sequence = sequence
        self.core.timestamp_ns = timestamp_ns

    def pocket(self, uint32_t account, dict lots, *, bint liquidity=True):
        """A small engine in which the account can act alone (pocket.pxd), and the sides of books that were cut short.

        Args:
            account: who acts; it is there whole.
            lots: symbol -> how much might be traded of it, beyond what the account's own orders and position are;
                symbol 0: of each.
            liquidity: with False, none of the orders of others are there.
        """
        cdef Engine copy = Engine(risk=self.core.risk, prevent_self_trade=self.core.prevent_self_trade)
        cdef Pocket pocket
        cdef Writer writer
        cdef Reader reader
        cdef int64_t i
        self.owner(account)
        memset(&pocket, 0, sizeof(pocket))
        memset(&writer, 0, sizeof(writer))
        pocket.account = account
        pocket.liquidity = liquidity
        try:
            gather_symbols(&self.core, &pocket, lots)
            gather_orders(&self.core, &pocket)
            writer.account = account
            writer.symbols = pocket.mask
            write_pocket(&self.core, &writer, &pocket)
            state = PyBytes_FromStringAndSize(NULL, writer.size)
            writer.to = PyBytes_AS_STRING(state)
            writer.size = 0
            write_pocket(&self.core, &writer, &pocket)
            reader.at = writer.to
            reader.left = writer.size
            read_state(&copy.core, &reader)
            carry_totals(&self.core, &copy.core, &pocket)
            cut = [(pocket.symbols[i].symbol, side)
                   for i in range(pocket.symbol_count) for side in range(2) if pocket.symbols[i].cut[side]]
        finally:
            pocket_close(&pocket)
        copy.core.sequence = self.core.sequence
        copy.core.timestamp_ns = self.core.timestamp_ns
        return copy, cut

    def preview(self, uint32_t account, steps, int64_t timestamp_ns=0):
        """Where the account would stand after these steps, and what each would come to (exchange.whatif)."""
        from exchange.whatif import preview
        return preview(self, account, steps, timestamp_ns)

    # ------------------------------------------------------------------------------------------- queries

    cdef Account* owner(self, uint32_t account) except NULL:
        if account == 0 or account > MAX_ACCOUNT:
            raise KeyError(f"account numbers are 1 .. {MAX_ACCOUNT}; this is {account}")
        return account_at(&self.core, account)

    def account(self, uint32_t account):
        """The account and its cross pool; zeros for one that never appeared."""
        cdef Core* core = &self.core
        cdef Account* owner
        cdef PoolValue value
        cdef Position* position
        cdef uint32_t slot
        cdef int64_t isolated = 0
        cdef int64_t initial = 0
        cdef int64_t profit = 0
        cdef int64_t open_orders = 0
        cdef int64_t need
        owner = self.owner(account)
        value = cross_value(core, account)
        slot = owner.first_position
        while slot:
            position = position_at(core, slot)
            need = symbol_initial(core, symbol_at(core, position.symbol), position, NULL)
            if position.isolated:
                isolated += position.margin_atoms
                need -= position_initial(symbol_at(core, position.symbol), position)
            else:
                profit += unrealised(symbol_at(core, position.symbol), position)
            initial += need
            open_orders += position.order_count
            slot = position.next
        return AccountView(
            account=account,
            wallet_atoms=owner.wallet_atoms,
            isolated_margin_atoms=isolated,
            unrealised_atoms=profit,
            equity_atoms=value.equity_atoms,
            maintenance_atoms=value.maintenance_atoms,
            initial_margin_atoms=initial,
            available_atoms=available_with(core, account, NULL, False),
            withdrawable_atoms=withdrawable(core, account),
            liquidating=bool(owner.pool.liquidating),
            open_orders=open_orders,
            stp_group=account_more(core, account).stp_group,
            countdown_ns=account_more(core, account).countdown_ns,
            multi_asset=bool(owner.multi_asset),
            position_mode=owner.hedge,
            collateral_atoms=owner.collateral_atoms,
        )

    def collateral(self, uint32_t account):
        """What the account holds of collateral assets, by asset."""
        cdef Holdings* held
        cdef uint32_t number
        found = []
        self.owner(account)
        held = holdings_of(&self.core, account)
        if held == NULL:
            return found
        for number in range(1, MAX_ASSETS + 1):
            if held.parts[number]:
                found.append(CollateralView(
                    account=account, asset=number, parts=held.parts[number],
                    counted_atoms=counted_parts(&self.core.assets[number], held.parts[number])))
        return found

    def assets(self):
        """The listed collateral assets, by number."""
        cdef uint32_t number
        return [
            AssetView(
                asset=number,
                name=(<bytes>self.core.assets[number].name[:MAX_NAME_BYTES]).rstrip(b"\0").decode("utf-8", "replace"),
                unit_parts=self.core.assets[number].unit_parts,
                haircut_ppm=self.core.assets[number].haircut_ppm,
                price_atoms=self.core.assets[number].price_atoms,
                held_parts=self.core.assets[number].held_parts,
            )
            for number in range(1, MAX_ASSETS + 1) if asset_at(&self.core, number) != NULL
        ]

    def accounts(self):
        """Numbers of the accounts that have something, ascending."""
        cdef Core* core = &self.core
        cdef uint32_t number
        found = []
        number = known_after(core, 0)
        while number:
            if has_anything(core, number):
                found.append(number)
            number = known_after(core, number)
        return found

    def positions(self, uint32_t account):
        """The account's entries by symbol and leg: positions, settings, and symbols with resting orders."""
        cdef Core* core = &self.core
        cdef Position* position
        cdef Symbol* symbol
        cdef uint32_t slot
        cdef PoolValue value
        cdef int64_t place, candidates
        found = []
        slot = self.owner(account).first_position
        while slot:
            position = position_at(core, slot)
            slot = position.next
            if position_is_default(position) and position.order_count == 0 and not position.auto_margin:
                continue
            symbol = symbol_at(core, position.symbol)
            value = pool_value(core, account, position if position.isolated else NULL)
            place = candidates = 0
            if position.position_lots != 0:
                place = adl_place(core, position, &candidates)
            found.append(PositionView(
                account=account,
                symbol=position.symbol,
                leg=position.leg,
                margin_mode=position.isolated,
                initial_margin_ppm=base_rate(symbol, position),
                position_lots=position.position_lots,
                entry_value_atoms=position.entry_value_atoms,
                margin_atoms=position.margin_atoms,
                unrealised_atoms=unrealised(symbol, position),
                initial_margin_atoms=position_initial(symbol, position),
                maintenance_atoms=position_maintenance(symbol, position),
                order_margin_atoms=symbol_initial(core, symbol, position, NULL) - position_initial(symbol, position),
                equity_atoms=value.equity_atoms,
                liquidation_price_ticks=liquidation_price(core, position),
                bankruptcy_price_ticks=bankruptcy_price(core, position),
                removable_atoms=removable(symbol, position),
                liquidating=bool(pool_of(core, position).liquidating),
                mark_ticks=symbol.mark_ticks,
                auto_margin=bool(position.auto_margin),
                adl_fifth=fifth_of(place, candidates) if place else 0,
                adl_place=place,
                adl_candidates=candidates,
            ))
        return found

    def open_orders(self, uint32_t account):
        """The account's orders in canonical order: of each symbol those that rest, then those that wait."""
        cdef Core* core = &self.core
        cdef Position* position
        cdef uint32_t entry, slot
        cdef int side
        found = []
        entry = self.owner(account).first_position
        while entry:
            position = position_at(core, entry)
            entry = position.next
            for side in range(2):
                slot = own_sort(core, position, side)
                while slot:
                    found.append(self.order_view(slot))
                    slot = order_at(core, slot).own_next
            slot = position.waiting_head
            while slot:
                found.append(self.order_view(slot))
                slot = order_at(core, slot).own_next
        return found

    cdef object order_view(self, uint32_t slot):
        cdef state_order record = order_record(&self.core, slot)
        return OrderView(
            account=record.account,
            symbol=record.symbol,
            leg=record.leg,
            order_id=record.order_id,
            client_order_id=record.client_order_id,
            side=record.side,
            flags=record.flags,
            self_trade=record.self_trade,
            price_ticks=record.price_ticks,
            open_lots=record.open_lots,
            filled_lots=record.filled_lots,
            order_type=record.order_type,
            time_in_force=record.time_in_force,
            display_lots=record.display_lots,
            shown_lots=record.shown_lots,
            expires_ns=record.expires_ns,
            trigger_by=record.trigger_by,
            trigger_ticks=record.trigger_ticks,
            callback_ticks=record.callback_ticks,
            callback_ppm=record.callback_ppm,
            best_ticks=record.best_ticks,
            waiting=bool(order_at(&self.core, slot).flags & WAITING),
            armed=bool(record.armed),
            link_group=record.link_group,
            link_role=record.link_role,
        )

    cdef list levels(self, BookSide* side, int64_t depth):
        cdef Core* core = &self.core
        cdef int64_t price = side.best_ticks
        cdef uint32_t slot
        cdef int64_t count, lots
        found = []
        while price and (depth == 0 or len(found) < depth):
            lots = count = 0
            slot = book_level(side, price).head
            while slot:
                count += 1
                lots += visible_lots(core, slot)
                slot = order_at(core, slot).next
            found.append(LevelView(price, lots, count))
            price = book_next_price(side, price)
        return found

    cdef Symbol* listed(self, uint32_t symbol) except NULL:
        cdef Symbol* found = symbol_at(&self.core, symbol)
        if found == NULL:
            raise KeyError(f"no symbol {symbol} is listed")
        return found

    def book(self, uint32_t symbol, int64_t depth=0):
        """The symbol's price levels, best first; depth 0: all of them."""
        cdef Symbol* found = self.listed(symbol)
        return BookView(
            symbol=symbol, bids=self.levels(&found.sides[0], depth), asks=self.levels(&found.sides[1], depth))

    cdef list price_views(self, Symbol* symbol):
        """The prices from outside that came, by source."""
        cdef int source
        if symbol.pricing == NULL:
            return []
        return [PriceView(source, symbol.pricing.prices[source].price_ticks, symbol.pricing.prices[source].received_ns)
                for source in range(MAX_FEEDS + 1) if symbol.pricing.prices[source].price_ticks]

    cdef object funding_view(self, Symbol* symbol):
        """The funding rate so far; None: it is settled by hand."""
        if symbol.funding == NULL:
            return None
        return FundingView(
            interval_ns=symbol.funding.interval_ns,
            samples=symbol.funding.samples,
            premium_ppb=average_premium(symbol.funding),
            rate_ppb=rate_of(symbol),
            next_funding_ns=symbol.funding.next_funding_ns,
        )

    def symbols(self):
        """The listed symbols by number."""
        cdef uint32_t number
        cdef Symbol* symbol
        found = []
        for number in range(1, self.core.highest_symbol + 1):
            symbol = symbol_at(&self.core, number)
            if symbol != NULL:
                found.append(SymbolView(
                    symbol=number,
                    name=(<bytes>symbol.listing.name[:MAX_NAME_BYTES]).rstrip(b"\0").decode("utf-8", "replace"),
                    tick_size_e12=symbol.listing.tick_size_e12,
                    lot_size_e12=symbol.listing.lot_size_e12,
                    atoms_per_tick_lot=symbol.m,
                    mark_ticks=symbol.mark_ticks,
                    open_interest_lots=symbol.gross_lots // 2,
                    fund=symbol.fund,
                    state=symbol.state,
                    last_ticks=symbol.last_ticks,
                    prices=self.price_views(symbol),
                    mark_held=bool(symbol.held),
                    funding=self.funding_view(symbol),
                ))
        return found

    def fund(self, uint32_t fund):
        """Balance of an insurance fund in atoms; 0 for one that never held money."""
        return fund_balance(&self.core, fund)

    def funds(self):
        """Balances of the funds that hold money, by number."""
        cdef int64_t i
        return {self.core.funds[i].fund: self.core.funds[i].balance_atoms
                for i in range(self.core.fund_count) if self.core.funds[i].balance_atoms}

    def fees_atoms(self):
        """Trading fees taken in, less rebates paid."""
        return self.core.fee_atoms

    def uncovered(self):
        """Whether a deficit is uncovered, so that withdrawals are stopped (ADL-03)."""
        return self.core.uncovered_pools > 0
