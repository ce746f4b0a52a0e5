"""Collateral assets: what they count for a cross pool, and the conversion that settles a wallet's debt (COLL-01..04).

`Account.collateral_atoms` is what an account's assets count at present, 0 while they do not count, so that margin only
has to add it to the wallet.  It is computed anew whenever a holding, a price, a haircut or the account's choice changes.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport qsort
from libc.string cimport memcpy
from native.bands cimport bands_stale
from native.core cimport Account, Asset, Core, Holdings, account_at, account_more, know_account
from native.credit cimport credit_forget
from native.events cimport event_accepted, event_balance_changed, event_new
from native.ledger cimport note_debt
from native.margin cimport available_with
from native.memory cimport ids_take, slab_at, slab_has_room, slab_take
from native.queue cimport pool_check
from native.units cimport apart, div_ceil, i128, lowest_bit, rarely, wide
from native.wire cimport *

# ------------------------------------------------------------------------------------------------ values

cdef inline int64_t value_of_parts(Asset* asset, int64_t parts) noexcept nogil:
    """What parts are worth, haircut apart; bounded by the range of money (COLL-01)."""
    return <int64_t>(wide(parts, asset.price_atoms) // asset.unit_parts)

cdef inline int64_t counted_parts(Asset* asset, int64_t parts) noexcept nogil:
    """What parts count for, rounded down twice (COLL-02)."""
    return <int64_t>(wide(value_of_parts(asset, parts), PPM - asset.haircut_ppm) // PPM)

cdef inline int64_t parts_for(Asset* asset, int64_t debt_atoms, int64_t most_parts) noexcept nogil:
    """The fewest parts, of so many, that count for the debt; all of them if they do not reach it (COLL-04)."""
    cdef i128 value
    if counted_parts(asset, most_parts) < debt_atoms:
        return most_parts
    value = div_ceil(wide(debt_atoms, PPM), PPM - asset.haircut_ppm)
    return <int64_t>div_ceil(value * asset.unit_parts, asset.price_atoms)

cdef inline bint worth_too_much(Core* core, uint32_t number, int64_t parts, int64_t price_atoms) noexcept nogil:
    """Whether all that is held, with these parts at this price, would be worth more than the range of money."""
    cdef i128 total = wide(parts, price_atoms) // core.assets[number].unit_parts
    cdef uint32_t other
    for other in range(1, MAX_ASSETS + 1):
        if other != number and core.assets[other].unit_parts:
            total += value_of_parts(&core.assets[other], core.assets[other].held_parts)
    return total > MAX_AMOUNT_ATOMS

# ---------------------------------------------------------------------------------------------- holdings

cdef inline Asset* asset_at(Core* core, uint32_t number) noexcept nogil:
    """The listed asset of this number, or NULL."""
    if number == 0 or number > MAX_ASSETS or core.assets[number].unit_parts == 0:
        return NULL
    return &core.assets[number]

cdef inline Holdings* holdings_of(Core* core, uint32_t account) noexcept nogil:
    """What the account holds, or NULL if it never held anything."""
    cdef uint32_t slot = account_more(core, account).holdings
    return <Holdings*>slab_at(&core.holdings, slot) if slot else NULL

cdef inline bint holds_any(Core* core, uint32_t account) noexcept nogil:
    """Whether the account holds anything of any asset."""
    cdef Holdings* held = holdings_of(core, account)
    cdef uint32_t number
    if held != NULL:
        for number in range(1, MAX_ASSETS + 1):
            if held.parts[number]:
                return True
    return False

cdef inline int64_t parts_held(Core* core, uint32_t account, uint32_t asset) noexcept nogil:
    cdef Holdings* held = holdings_of(core, account)
    return held.parts[asset] if held != NULL else 0

cdef inline Holdings* holdings_ensure(Core* core, uint32_t account) noexcept nogil:
    """The same, made if need be; NULL if there is no room."""
    cdef uint32_t slot
    if account_more(core, account).holdings == 0:
        slot = slab_take(&core.holdings)
        if slot == 0:
            return NULL
        account_more(core, account).holdings = slot
        core.holders[account // 64] |= <uint64_t>1 << (account % 64)
        know_account(core, account)
    return holdings_of(core, account)

cdef inline void recount(Core* core, uint32_t account) noexcept nogil:
    """Computes anew what the account's assets count."""
    cdef Account* owner = account_at(core, account)
    cdef Holdings* held = holdings_of(core, account)
    cdef uint32_t number
    credit_forget(owner)
    bands_stale(core, owner, account)
    owner.collateral_atoms = 0
    if not owner.multi_asset or held == NULL:
        return
    for number in range(1, MAX_ASSETS + 1):
        if held.parts[number]:
            owner.collateral_atoms += counted_parts(&core.assets[number], held.parts[number])
    note_debt(core, owner, account)

cdef inline void move_collateral(
    Core* core, Holdings* held, uint32_t account, uint32_t number, int64_t change_parts, int cause
) noexcept nogil:
    """An account holds more or less of an asset, and hears of it."""
    cdef wire_collateral_changed* e = <wire_collateral_changed*>event_new(
        core, EVENT_COLLATERAL_CHANGED, sizeof(wire_collateral_changed), account)
    held.parts[number] += change_parts
    core.assets[number].held_parts += change_parts
    recount(core, account)
    e.asset = number
    e.cause = <unsigned char>cause
    e.change_parts = change_parts
    e.parts = held.parts[number]

cdef inline void check_counting(Core* core, uint32_t number) noexcept nogil:
    """An asset counts for more or less than before: every cross pool that counts on it is checked, by account."""
    cdef uint32_t word, account
    cdef uint64_t bits
    for word in range(core.highest_account // 64 + 1):
        bits = core.holders[word]
        while bits:
            account = word * 64 + lowest_bit(bits)
            bits &= bits - 1
            if account_at(core, account).multi_asset and parts_held(core, account, number):
                recount(core, account)
                pool_check(core, account, NULL)

# -------------------------------------------------------------------------------------- the operator's

cdef inline int list_asset(Core* core, wire_list_asset* c) noexcept nogil:
    """COLL-01."""
    cdef Asset* asset
    cdef wire_asset_listed* e
    if c.asset == 0 or c.asset > MAX_ASSETS or c.name[0] == 0 or c.unit_parts < 1 or c.unit_parts > MAX_AMOUNT_ATOMS \
            or c.haircut_ppm > PPM:
        return REJECT_REASON_INVALID_ASSET
    asset = &core.assets[c.asset]
    if asset.unit_parts and asset.unit_parts != c.unit_parts:
        return REJECT_REASON_INVALID_ASSET
    event_accepted(core, 0, COMMAND_LIST_ASSET, 0, 0)
    asset.unit_parts = c.unit_parts
    asset.haircut_ppm = c.haircut_ppm
    memcpy(asset.name, c.name, MAX_NAME_BYTES)
    e = <wire_asset_listed*>event_new(core, EVENT_ASSET_LISTED, sizeof(wire_asset_listed), 0)
    e.asset = c.asset
    memcpy(e.name, c.name, MAX_NAME_BYTES)
    e.unit_parts = c.unit_parts
    e.haircut_ppm = c.haircut_ppm
    check_counting(core, c.asset)
    return 0

cdef inline int set_asset_price(Core* core, wire_set_asset_price* c) noexcept nogil:
    """COLL-02."""
    cdef Asset* asset = asset_at(core, c.asset)
    cdef wire_asset_price_changed* e
    if c.price_atoms < 1 or c.price_atoms > MAX_AMOUNT_ATOMS:
        return REJECT_REASON_INVALID_AMOUNT
    if asset == NULL:
        return REJECT_REASON_UNKNOWN_ASSET
    if worth_too_much(core, c.asset, asset.held_parts, c.price_atoms):
        return REJECT_REASON_VALUE_OUT_OF_RANGE
    event_accepted(core, 0, COMMAND_SET_ASSET_PRICE, 0, 0)
    asset.price_atoms = c.price_atoms
    e = <wire_asset_price_changed*>event_new(core, EVENT_ASSET_PRICE_CHANGED, sizeof(wire_asset_price_changed), 0)
    e.asset = c.asset
    e.price_atoms = c.price_atoms
    check_counting(core, c.asset)
    return 0

# ---------------------------------------------------------------------------------------- the account's

cdef inline int refuse_bringing(Core* core, uint32_t number, uint32_t account, int64_t parts) noexcept nogil:
    cdef Asset* asset = &core.assets[number]
    if parts > MAX_AMOUNT_ATOMS - asset.held_parts \
            or worth_too_much(core, number, asset.held_parts + parts, asset.price_atoms):
        return REJECT_REASON_VALUE_OUT_OF_RANGE
    if holdings_of(core, account) == NULL and not slab_has_room(&core.holdings):
        return REJECT_REASON_OUT_OF_CAPACITY
    return 0

cdef inline int refuse_taking(Core* core, uint32_t number, uint32_t account, int64_t parts) noexcept nogil:
    """COLL-03: what is left must leave what is available, unrealised profit not counted, at 0 or above."""
    cdef Account* owner = account_at(core, account)
    cdef Holdings* held = holdings_of(core, account)
    cdef int64_t left
    if held == NULL or held.parts[number] < parts:
        return REJECT_REASON_INSUFFICIENT_COLLATERAL
    if not owner.multi_asset:
        return 0
    held.parts[number] -= parts        # looked at as it would be, and put back
    recount(core, account)
    left = available_with(core, account, NULL, True)
    held.parts[number] += parts
    recount(core, account)
    return REJECT_REASON_INSUFFICIENT_MARGIN if left < 0 else 0

cdef inline int change_collateral(Core* core, wire_change_collateral* c) noexcept nogil:
    """COLL-03."""
    cdef int refused
    if c.account == 0 or c.account > MAX_ACCOUNT:
        return REJECT_REASON_INVALID_ACCOUNT
    if c.change_parts == 0 or c.change_parts > MAX_AMOUNT_ATOMS or c.change_parts < -MAX_AMOUNT_ATOMS:
        return REJECT_REASON_INVALID_AMOUNT
    if c.change_parts < 0 and account_at(core, c.account).pool.liquidating:
        return REJECT_REASON_POOL_LIQUIDATING
    if c.change_parts < 0 and core.uncovered_pools > 0:
        return REJECT_REASON_WITHDRAWALS_STOPPED
    if asset_at(core, c.asset) == NULL:
        return REJECT_REASON_UNKNOWN_ASSET
    if c.change_parts > 0:
        refused = refuse_bringing(core, c.asset, c.account, c.change_parts)
    else:
        refused = refuse_taking(core, c.asset, c.account, -c.change_parts)
    if refused:
        return refused
    event_accepted(core, c.account, COMMAND_CHANGE_COLLATERAL, 0, 0)
    move_collateral(core, holdings_ensure(core, c.account), c.account, c.asset, c.change_parts,
                    COLLATERAL_CAUSE_DEPOSIT if c.change_parts > 0 else COLLATERAL_CAUSE_WITHDRAWAL)
    pool_check(core, c.account, NULL)
    return 0

cdef inline int set_multi_asset(Core* core, wire_set_multi_asset* c) noexcept nogil:
    """COLL-02: an account's assets count from now on, or no longer, if it can do without them."""
    cdef Account* owner
    cdef wire_multi_asset_set* e
    if c.account == 0 or c.account > MAX_ACCOUNT:
        return REJECT_REASON_INVALID_ACCOUNT
    if c.enabled > 1:
        return REJECT_REASON_INVALID_MARGIN_MODE
    owner = account_at(core, c.account)
    if owner.pool.liquidating:
        return REJECT_REASON_POOL_LIQUIDATING
    if not c.enabled and owner.collateral_atoms \
            and available_with(core, c.account, NULL, False) - owner.collateral_atoms < 0:
        return REJECT_REASON_INSUFFICIENT_MARGIN
    event_accepted(core, c.account, COMMAND_SET_MULTI_ASSET, 0, 0)
    owner.multi_asset = c.enabled
    know_account(core, c.account)
    recount(core, c.account)
    e = <wire_multi_asset_set*>event_new(core, EVENT_MULTI_ASSET_SET, sizeof(wire_multi_asset_set), c.account)
    e.enabled = c.enabled
    pool_check(core, c.account, NULL)
    return 0

# ------------------------------------------------------------------------------------------- conversion

cdef inline uint32_t cheapest_asset(Core* core, Holdings* held) noexcept nogil:
    """The asset with the smallest haircut that counts for anything, ties by number; 0: none does."""
    cdef uint32_t number
    cdef uint32_t found = 0
    for number in range(1, MAX_ASSETS + 1):
        if held.parts[number] and counted_parts(&core.assets[number], held.parts[number]) \
                and (found == 0 or core.assets[number].haircut_ppm < core.assets[found].haircut_ppm):
            found = number
    return found

cdef inline void settle_debt(Core* core, uint32_t account) noexcept nogil:
    """COLL-04: the operator takes assets for what they count, until the wallet is at 0."""
    cdef Account* owner = account_at(core, account)
    cdef Holdings* held = holdings_of(core, account)
    cdef uint32_t number
    cdef int64_t parts, counted
    while owner.wallet_atoms < 0:
        number = cheapest_asset(core, held)
        if number == 0:
            return
        parts = parts_for(&core.assets[number], -owner.wallet_atoms, held.parts[number])
        counted = counted_parts(&core.assets[number], parts)
        move_collateral(core, held, account, number, -parts, COLLATERAL_CAUSE_CONVERSION)
        core.net_deposits_atoms += counted
        owner.wallet_atoms += counted
        event_balance_changed(core, account, NULL, BALANCE_CAUSE_CONVERSION, counted, 0)

cdef inline int by_number(const void* left, const void* right) noexcept nogil:
    cdef uint64_t a = (<uint64_t*>left)[0]
    cdef uint64_t b = (<uint64_t*>right)[0]
    return (a > b) - (a < b)

cdef inline apart settle_debts(Core* core) noexcept nogil:
    """COLL-04, at the end of a command: of the accounts that may owe, by number, those that do and hold no cross position."""
    cdef uint32_t account
    cdef Account* owner
    qsort(core.debtors.ids + core.debtors.first, core.debtors.end - core.debtors.first, sizeof(uint64_t), &by_number)
    while core.debtors.first != core.debtors.end:
        account = <uint32_t>ids_take(&core.debtors)
        owner = account_at(core, account)
        owner.may_owe = False
        if owner.wallet_atoms < 0 and owner.cross_positions == 0 and owner.collateral_atoms:
            settle_debt(core, account)
