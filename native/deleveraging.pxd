"""Auto-deleveraging: who takes over a position that nobody bought, how many lots, and at what cost (ADL-01..05).

Everybody on the other side is measured into a table of counterparties, sorted by the symbol's policy, and told how much to
give; only then does anything move.  The same comparison tells a holder its place while nothing happens (ADL-04), by
counting who stands before it.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort
from native.core cimport (
    Account, Core, FAULT_NO_MEMORY, Position, Symbol, account_at, ensure, open_position_at, position_at, symbol_at,
    symbol_of,
)
from native.credit cimport credit_forget
from native.events cimport event_accepted, event_balance_changed, event_new
from native.ledger cimport Settlement, event_fill, move_to_pool, release_isolated, settle_position
from native.margin cimport cross_equity, notional, unrealised
from native.order_life cimport cancel_useless_reduce_only
from native.queue cimport pool_check, position_check
from native.units cimport clamp64, compare_products, div_ceil, div_floor, i128, iabs, imax, imin, wide
from native.wire cimport *

cdef extern from *:
    """
    #define ADL_STAND_IN_ATOMS ((int64_t)1 << 61)
    """
    const int64_t STAND_IN_ATOMS "ADL_STAND_IN_ATOMS"    # the profit of a stand-in (pocket.pxd)

# A position on the other side: what ranks it, and what it is to give.
cdef struct Counterparty:
    Position* position
    int64_t profit_atoms
    int64_t notional_atoms
    int64_t entry_atoms
    int64_t equity_atoms               # of its pool
    int64_t net_atoms                  # of its pool, long less short; 0 where the policy does not look at it
    bint last                          # comes after all others (net-exposure-aware)
    int64_t most                       # what is shared out goes by weight, and nobody gets more than this
    int64_t weight
    int64_t rank
    int64_t lots
    int64_t value_atoms                # what the lots are given for
    int64_t haircut_atoms              # what giving costs against the mark

# What is deleveraged: a position and its value V.
cdef struct Stage:
    Symbol* symbol
    Position* position
    bint of_long
    int64_t size
    int64_t worth_atoms                # V
    int64_t cost_atoms                 # of V against the mark, to the other side

# ---------------------------------------------------------------------------------------------- ranking

cdef inline int64_t signed_notional(Symbol* symbol, int64_t lots) noexcept nogil:
    return lots * symbol.mark_ticks * symbol.m

cdef inline int64_t net_notional(Core* core, Position* position) noexcept nogil:
    """ADL-05: the signed notionals of the positions in a position's pool."""
    cdef int64_t net = 0
    cdef uint32_t slot
    cdef Position* entry
    if position.isolated:
        return signed_notional(symbol_of(core, position), position.position_lots)
    slot = account_at(core, position.account).first_position
    while slot:
        entry = position_at(core, slot)
        if entry.position_lots != 0 and not entry.isolated:
            net += signed_notional(symbol_of(core, entry), entry.position_lots)
        slot = entry.next
    return net

cdef inline void measure(Core* core, Symbol* symbol, Position* position, int64_t asked_lots, Counterparty* entry) noexcept nogil:
    """All that a position is ranked by, if so many lots are asked of it."""
    cdef int64_t given
    entry.position = position
    entry.profit_atoms = STAND_IN_ATOMS if core.others_bear else unrealised(symbol, position)
    entry.notional_atoms = notional(symbol, position.position_lots)
    entry.entry_atoms = iabs(position.entry_value_atoms)
    entry.equity_atoms = position.margin_atoms + entry.profit_atoms if position.isolated \
        else cross_equity(core, position.account)
    entry.net_atoms = 0
    entry.last = False
    entry.most = entry.weight = entry.rank = entry.lots = entry.value_atoms = entry.haircut_atoms = 0
    if symbol.adl_policy == ADL_POLICY_NET_EXPOSURE_AWARE:
        given = imin(asked_lots, iabs(position.position_lots))
        entry.net_atoms = net_notional(core, position)
        entry.last = iabs(entry.net_atoms - signed_notional(
            symbol, given if position.position_lots > 0 else -given)) > iabs(entry.net_atoms)

cdef inline int by_account(Counterparty* a, Counterparty* b) noexcept nogil:
    if a.position.account == b.position.account:
        return 0
    return -1 if a.position.account < b.position.account else 1

cdef inline int by_score(const void* left, const void* right) noexcept nogil:
    """ADL-01: profit and leverage first, compared by cross-multiplication; ties by account."""
    cdef Counterparty* a = <Counterparty*>left
    cdef Counterparty* b = <Counterparty*>right
    cdef int64_t a_equity = imax(1, a.equity_atoms)
    cdef int64_t b_equity = imax(1, b.equity_atoms)
    cdef int order
    if a.last != b.last:
        return 1 if a.last else -1
    if (a.profit_atoms > 0) != (b.profit_atoms > 0):
        return -1 if a.profit_atoms > 0 else 1
    if a.profit_atoms > 0:
        order = compare_products(
            wide(b.profit_atoms, b.notional_atoms), wide(a.entry_atoms, a_equity),
            wide(a.profit_atoms, a.notional_atoms), wide(b.entry_atoms, b_equity))
    else:
        order = compare_products(
            wide(-a.profit_atoms, a_equity), wide(b.entry_atoms, b.notional_atoms),
            wide(-b.profit_atoms, b_equity), wide(a.entry_atoms, a.notional_atoms))
    return order if order else by_account(a, b)

cdef inline int by_share(const void* left, const void* right) noexcept nogil:
    """ADL-05: the smallest most / weight first, whoever can give nothing last; ties by account."""
    cdef Counterparty* a = <Counterparty*>left
    cdef Counterparty* b = <Counterparty*>right
    cdef i128 a_most, b_most
    if (a.most == 0) != (b.most == 0):
        return 1 if a.most == 0 else -1
    if a.most != 0:
        a_most = wide(a.most, b.weight)
        b_most = wide(b.most, a.weight)
        if a_most != b_most:
            return -1 if a_most < b_most else 1
    return by_account(a, b)

cdef inline int64_t measure_side(
    Core* core, Symbol* symbol, Position* position, int64_t asked_lots, Counterparty* entries
) noexcept nogil:
    """Measures every position of others on the other side; returns how many."""
    cdef int64_t count = 0
    cdef int64_t i
    cdef Position* other
    for i in range(symbol.open_count):
        other = open_position_at(core, symbol, i)
        if (other.position_lots > 0) != (position.position_lots > 0) and other.account != position.account:
            measure(core, symbol, other, asked_lots, &entries[count])
            count += 1
    return count

cdef inline void measure_alone(Core* core, Symbol* symbol, Position* position, Counterparty* entry) noexcept nogil:
    """ADL-04: measured as if all of the position were asked for."""
    measure(core, symbol, position, iabs(position.position_lots), entry)
    entry.weight = imax(0, entry.equity_atoms)
    entry.most = iabs(position.position_lots) if entry.weight else 0

cdef inline int64_t adl_place(Core* core, Position* position, int64_t* candidates) noexcept nogil:
    """ADL-04: the place, from 1, of an open position among those of its side, and how many they are."""
    cdef Symbol* symbol = symbol_of(core, position)
    cdef bint shares = symbol.adl_policy == ADL_POLICY_PRO_RATA_BY_EQUITY
    cdef int64_t place = 1
    cdef int64_t i
    cdef Position* other
    cdef Counterparty own, entry
    candidates[0] = 0
    measure_alone(core, symbol, position, &own)
    for i in range(symbol.open_count):
        other = open_position_at(core, symbol, i)
        if (other.position_lots > 0) == (position.position_lots > 0):
            candidates[0] += 1
            measure_alone(core, symbol, other, &entry)
            place += (by_share(&entry, &own) if shares else by_score(&entry, &own)) < 0
    return place

# --------------------------------------------------------------------------------------------- the plans

cdef inline int64_t prefix(Stage* stage, int64_t lots) noexcept nogil:
    """ADL-02: the value of the first lots of a position, so that the parts add up to the whole."""
    if stage.of_long:
        return <int64_t>div_ceil(wide(stage.worth_atoms, lots), stage.size)
    return <int64_t>div_floor(wide(stage.worth_atoms, lots), stage.size)

cdef inline void give(Stage* stage, Counterparty* entry, int64_t done, int64_t lots) noexcept nogil:
    """So many lots after others, at their part of V."""
    cdef int64_t at_mark = notional(stage.symbol, lots)
    entry.lots = lots
    entry.value_atoms = prefix(stage, done + lots) - prefix(stage, done)
    entry.haircut_atoms = entry.value_atoms - at_mark if stage.of_long else at_mark - entry.value_atoms

cdef inline void give_in_turn(Stage* stage, Counterparty* entries, int64_t count) noexcept nogil:
    """ADL-01: each gives all it has, as long as lots are left; whoever would end below zero is passed over."""
    cdef int64_t done = 0
    cdef int64_t i
    cdef Counterparty* entry
    for i in range(count):
        entry = &entries[i]
        give(stage, entry, done, imin(stage.size - done, iabs(entry.position.position_lots)))
        if entry.haircut_atoms > entry.equity_atoms:
            entry.lots = entry.value_atoms = entry.haircut_atoms = 0
        done += entry.lots

cdef inline int64_t share_next(int64_t* total, i128* weights, Counterparty* entry) noexcept nogil:
    """ADL-05: what the next in the order of `by_share` gets of a total; whoever is held back by its most came before."""
    cdef int64_t part = imin(entry.most, <int64_t>div_ceil(wide(total[0], entry.weight), weights[0]))
    total[0] -= part
    weights[0] -= entry.weight
    return part

cdef inline i128 weights_of(Counterparty* entries, int64_t count) noexcept nogil:
    """The sum of the weights of those that may give."""
    cdef int64_t i
    cdef i128 weights = 0
    for i in range(count):
        if entries[i].most:
            weights += entries[i].weight
    return weights

cdef inline void give_by_equity(Stage* stage, Counterparty* entries, int64_t count) noexcept nogil:
    """ADL-05: lots in proportion to equity, nobody more than it has or surely bears (the parts of V are rounded)."""
    cdef int64_t left = stage.size
    cdef i128 weights
    cdef int64_t i, lots
    cdef Counterparty* entry
    for i in range(count):
        entry = &entries[i]
        entry.weight = imax(0, entry.equity_atoms)
        entry.most = iabs(entry.position.position_lots) if entry.weight else 0
        if entry.most and stage.cost_atoms > 0:
            entry.most = imin(entry.most, clamp64(div_floor(wide(entry.weight - 1, stage.size), stage.cost_atoms)))
    qsort(entries, count, sizeof(Counterparty), &by_share)
    weights = weights_of(entries, count)
    for i in range(count):
        entry = &entries[i]
        if entry.most == 0:
            return
        lots = share_next(&left, &weights, entry)
        give(stage, entry, stage.size - left - lots, lots)

cdef inline int64_t lots_at_mark(Stage* stage, Counterparty* entries, int64_t count) noexcept nogil:
    """ADL-05: as many lots as solvent counterparties have, and as the winners' profits pay for."""
    cdef i128 payable = 0
    cdef int64_t held = 0
    cdef int64_t i
    cdef int64_t lots = stage.size
    for i in range(count):
        entries[i].weight = imax(0, entries[i].profit_atoms)
        entries[i].most = imax(0, imin(entries[i].profit_atoms, entries[i].equity_atoms))
        payable += entries[i].most
        if entries[i].equity_atoms >= 0:
            held += iabs(entries[i].position.position_lots)
    lots = imin(lots, held)
    if stage.cost_atoms > 0 and payable < stage.cost_atoms:
        lots = imin(lots, <int64_t>div_floor(payable * stage.size, stage.cost_atoms))
    return lots

cdef inline void give_at_mark(Stage* stage, Counterparty* entries, int64_t count) noexcept nogil:
    """ADL-05: lots at the mark, in turn; what is missing is taken from everybody's profit, pro rata to it."""
    cdef int64_t lots = lots_at_mark(stage, entries, count)
    cdef int64_t missing = <int64_t>div_ceil(wide(stage.cost_atoms, lots), stage.size)
    cdef i128 weights
    cdef int64_t i
    cdef Counterparty* entry
    qsort(entries, count, sizeof(Counterparty), &by_share)
    weights = weights_of(entries, count)
    for i in range(count):
        if entries[i].most:
            entries[i].haircut_atoms = share_next(&missing, &weights, &entries[i])
    qsort(entries, count, sizeof(Counterparty), &by_score)
    for i in range(count):
        entry = &entries[i]
        if entry.equity_atoms >= 0:
            entry.lots = imin(lots, iabs(entry.position.position_lots))
            entry.value_atoms = notional(stage.symbol, entry.lots)
            lots -= entry.lots

cdef inline void plan(Stage* stage, Counterparty* entries, int64_t count) noexcept nogil:
    """ADL-05: sorts everybody by rank and says what each gives; lots that nobody gives are left over."""
    cdef int64_t i
    if stage.symbol.adl_policy == ADL_POLICY_PRO_RATA_BY_EQUITY:
        give_by_equity(stage, entries, count)
    elif stage.symbol.adl_policy == ADL_POLICY_MARK_PRICED:
        give_at_mark(stage, entries, count)
    else:
        qsort(entries, count, sizeof(Counterparty), &by_score)
        give_in_turn(stage, entries, count)
    for i in range(count):
        entries[i].rank = i + 1

# --------------------------------------------------------------------------------------------- carrying out

cdef inline void event_ranked(
    Core* core, Stage* stage, Counterparty* entry, int64_t candidates, uint64_t trade_id
) noexcept nogil:
    cdef wire_adl_ranked* e = <wire_adl_ranked*>event_new(
        core, EVENT_ADL_RANKED, sizeof(wire_adl_ranked), entry.position.account)
    e.symbol = entry.position.symbol
    e.leg = <unsigned char>entry.position.leg
    e.deleveraged_account = stage.position.account
    e.deleveraged_leg = <unsigned char>stage.position.leg
    e.policy = stage.symbol.adl_policy
    e.trade_id = trade_id
    e.rank = <uint32_t>entry.rank
    e.candidates = <uint32_t>candidates
    e.unrealised_atoms = entry.profit_atoms
    e.notional_atoms = entry.notional_atoms
    e.entry_value_atoms = entry.entry_atoms
    e.equity_atoms = imax(1, entry.equity_atoms)
    e.net_notional_atoms = entry.net_atoms
    e.qty_lots = entry.lots
    e.haircut_atoms = entry.haircut_atoms

cdef inline void move_haircut(Core* core, Position* position, int64_t change_atoms) noexcept nogil:
    """ADL-05: money that changes a pool, and its event."""
    move_to_pool(core, position, change_atoms)
    event_balance_changed(core, position.account, position, BALANCE_CAUSE_HAIRCUT,
                          0 if position.isolated else change_atoms, change_atoms if position.isolated else 0)

cdef inline void take_haircuts(Core* core, Stage* stage, Counterparty* entries, int64_t count) noexcept nogil:
    """ADL-05, at the mark: what is missing moves from the winners' pools into the pool, before any lot does."""
    cdef uint64_t trade_id = core.next_trade_id
    cdef int64_t missing = 0
    cdef int64_t i
    cdef Counterparty* entry
    for i in range(count):
        entry = &entries[i]
        if entry.lots == 0 and entry.haircut_atoms == 0:
            continue
        event_ranked(core, stage, entry, count, trade_id if entry.lots else 0)
        trade_id += entry.lots != 0
        missing += entry.haircut_atoms
        if entry.haircut_atoms:
            move_haircut(core, entry.position, -entry.haircut_atoms)
            pool_check(core, entry.position.account, entry.position if entry.position.isolated else NULL)
    if missing:
        move_haircut(core, stage.position, missing)

cdef inline void deleverage_pair(
    Core* core, Symbol* symbol, Position* position, Position* other, int64_t lots, int64_t value
) noexcept nogil:
    """Closes lots of both positions against each other at an exact value."""
    cdef int side = SIDE_SELL if position.position_lots > 0 else SIDE_BUY
    cdef Account* owner = account_at(core, position.account)
    cdef Account* counterparty = account_at(core, other.account)
    cdef uint64_t trade_id = core.next_trade_id
    cdef Settlement settlement
    core.next_trade_id += 1
    credit_forget(owner)
    credit_forget(counterparty)
    settlement.fee_atoms = 0
    settlement.realised_atoms = settle_position(core, symbol, position, owner, side, lots, value, 0, True)
    release_isolated(core, position)
    event_fill(core, position, owner, side, FILL_ROLE_DELEVERAGED, trade_id, 0, 0, 0, lots, value, 0, &settlement)
    settlement.realised_atoms = settle_position(core, symbol, other, counterparty, 1 - side, lots, value, 0, False)
    event_fill(core, other, counterparty, 1 - side, FILL_ROLE_ADL_COUNTERPARTY, trade_id, 0, 0, 0, lots, value, 0,
               &settlement)
    cancel_useless_reduce_only(core, symbol, other)
    position_check(core, other)
    if position.isolated:
        pool_check(core, position.account, NULL)

cdef inline void deleverage(Core* core, Symbol* symbol, Position* position, int64_t worth) noexcept nogil:
    """Hands a position to its counterparties as the symbol's policy says (ADL-01, ADL-02, ADL-05)."""
    cdef bint at_mark = symbol.adl_policy == ADL_POLICY_MARK_PRICED
    cdef int64_t at_mark_atoms = notional(symbol, position.position_lots)
    cdef int64_t count, i
    cdef Stage stage
    cdef Counterparty* entry
    cdef Counterparty* entries = <Counterparty*>malloc((symbol.open_count + 1) * sizeof(Counterparty))
    if entries == NULL:
        ensure(core, False, FAULT_NO_MEMORY)
        return
    stage.symbol = symbol
    stage.position = position
    stage.of_long = position.position_lots > 0
    stage.size = iabs(position.position_lots)
    stage.worth_atoms = worth
    stage.cost_atoms = worth - at_mark_atoms if stage.of_long else at_mark_atoms - worth
    count = measure_side(core, symbol, position, stage.size, entries)
    plan(&stage, entries, count)
    if at_mark:
        take_haircuts(core, &stage, entries, count)
    for i in range(count):
        entry = &entries[i]
        if entry.lots:
            if not at_mark:
                event_ranked(core, &stage, entry, count, core.next_trade_id)
            deleverage_pair(core, symbol, position, entry.position, entry.lots, entry.value_atoms)
    free(entries)

# ------------------------------------------------------------------------------------------- the command

cdef inline int set_adl_policy(Core* core, wire_set_adl_policy* c) noexcept nogil:
    """ADL-05: how positions of the symbol are deleveraged from now on."""
    cdef Symbol* symbol = symbol_at(core, c.symbol)
    cdef wire_adl_policy_set* e
    if symbol == NULL:
        return REJECT_REASON_UNKNOWN_SYMBOL
    if c.policy > ADL_POLICY_MARK_PRICED:
        return REJECT_REASON_INVALID_ADL_POLICY
    event_accepted(core, 0, COMMAND_SET_ADL_POLICY, 0, 0)
    symbol.adl_policy = c.policy
    e = <wire_adl_policy_set*>event_new(core, EVENT_ADL_POLICY_SET, sizeof(wire_adl_policy_set), 0)
    e.symbol = c.symbol
    e.policy = c.policy
    return 0
