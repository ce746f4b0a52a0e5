"""The state of the exchange: what an order, a level, a symbol, an account, a position and the whole are.

Structs only, and the few functions that find one of them.  Orders and positions live in slabs and are linked by
32-bit slots; accounts are an array indexed by account number; symbols are allocated one by one.  None of them
ever moves, so a pointer taken in a command stays valid through it.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t, int32_t
from native.memory cimport IdQueue, Slab, prefetch
from native.units cimport imax, lowest_bit
from native.wire cimport wire_list_symbol, MAX_FEEDS, MAX_SYMBOL, WINDOW_PARTS

cdef enum:
    BLOCK_TICKS = 64       # price levels of one block: one bitmap word
    LEAF_BLOCKS = 15       # blocks of one leaf of a side's index
    BRANCH_LEAVES = 64     # leaves of one branch of it
    BLOCK_CACHE = 64       # recently used blocks of a side, by key modulo this
    MANY_ACCOUNTS = 4096   # account number from which on a venue does not fit the caches, and prefetching pays
    MANY_ORDERS = 16384    # slots of orders ever in use at once, from which on it does not
    OPEN_BLOCK = 64        # a symbol's open positions of one block
    OPEN_CHUNK = 4096      # and of one chunk
    WARNING_LEVELS = 4     # at most
    FAULT_NO_MEMORY = 2    # what `ensure` notes where the system gives none in the middle of a command

# ---------------------------------------------------------------------------------------------- orders

cdef struct Order:                     # 64 bytes: one cache line, all that matching and cancelling touch
    uint32_t next                      # in its level, towards the back; also the slab's free list
    uint32_t previous
    uint32_t own_next                  # among the account's orders of symbol and side (own_orders.pxd)
    uint32_t own_previous
    uint64_t order_id
    int64_t price_ticks
    int64_t open_lots
    int64_t filled_lots                # filled or decremented: quantity - open
    uint32_t position                  # slot of its account-symbol entry
    uint32_t index_next                # behind it in its bucket of the order index
    uint32_t account                   # of the entry: its credit is asked for before the entry has come
    uint16_t flags
    uint8_t side
    uint8_t self_trade

cdef enum:                             # what the engine notes in an order's flags, beside those of the table
    ORDER_FLAGS = 63                   # those of the table
    TIMED = 1 << 8                     # good till a time
    TRIGGER_TYPE = 1 << 9              # has, or had, a trigger
    WAITING = 1 << 10                  # for its trigger
    ARMED = 1 << 11                    # and can go off
    TRIGGERED = 1 << 12                # waits in the queue of those that go off next
    NAMED = 1 << 13                    # has a client order id: the cold record is worth a look

cdef enum:                             # an order's part in its list (MATCH-14)
    LINK_NONE = 0
    LINK_ONE_CANCELS_OTHER = 1
    LINK_ENTRY = 2
    LINK_EXIT = 3

cdef struct OrderMore:                 # the cold record, at the same slot; a field counts only where the flags say so
    uint64_t client_order_id           # if NAMED
    uint32_t client_next               # behind it in its bucket of the client index
    uint32_t siblings[2]               # LINKED: the others of its list that live; of an exit the entry, then the other exit
    int64_t display_lots               # ICEBERG: a whole slice
    int64_t shown_lots                 # ICEBERG: what is left of the present one
    int64_t expires_ns                 # TIMED
    uint64_t counted_by                # the last fill-or-kill order that counted on it
    uint64_t link_group                # LINKED: order id of the first of its list
    int64_t exit_lots                  # of an exit: the quantity it was given
    # TRIGGER_TYPE
    int64_t trigger_ticks
    int64_t watched_ticks              # TRIGGERED: the price that reached it
    int64_t limit_ticks                # while it waits: its limit, or worst price
    int64_t callback_ticks
    uint64_t trail_serial              # of a trailing stop: when it began to watch (trailing.pxd)
    uint32_t callback_ppm
    uint8_t order_type
    uint8_t trigger_by
    uint8_t time_in_force              # also of orders that rest and are TIMED
    uint8_t link_role                  # LINKED

# ------------------------------------------------------------------------------------------------ book

cdef struct Level:
    uint32_t head                      # front of the queue; 0: empty
    uint32_t tail
    int64_t lots

cdef struct Block:                     # 64 neighbouring prices; a narrow one ends after its only level
    int64_t key                        # price / 64
    uint64_t occupied                  # bit i: price i of the 64 has orders
    int64_t mask                       # the level of a price is levels[price & mask]: 63, or 0 in a narrow block
    Block* next_free
    Level levels[64]

cdef struct Leaf:                      # a sorted run of blocks, four lines of the cache
    int64_t count
    int64_t keys[15]
    Block* blocks[15]

cdef struct IndexEntry:                # a leaf of a branch, or a branch of a side
    int64_t from_key                   # no key of the child is below it, every key of the child before is
    void* child

cdef struct Branch:                    # a sorted run of leaves
    int64_t count
    IndexEntry leaves[64]

cdef struct CachedBlock:               # with its key, so that a look which fails touches no block
    int64_t key
    Block* block

cdef struct BookSide:
    int64_t sign                       # 1: bids, -1: asks; a price is better by sign x price, without a branch
    int64_t best_ticks                 # 0: empty
    Block* best_block
    CachedBlock cache[64]
    IndexEntry* branches               # sorted
    int64_t branch_count
    int64_t branch_capacity

# ---------------------------------------------------------------------------------------------- symbol

cdef struct Bracket:
    int64_t floor_atoms
    int64_t deduction_atoms            # cum of MARGIN-03
    int64_t maintenance_ppm
    int64_t initial_ppm

cdef struct TrailNode:                 # a trailing stop in the heap of its group
    int64_t distance                   # ticks, or ppm
    uint64_t order_id

cdef struct TrailGroup:                # trailing stops with one best price (trailing.pxd)
    int64_t best_ticks
    uint64_t first_serial
    TrailNode* nodes
    int64_t count
    int64_t capacity

cdef struct Trails:                    # all trailing stops of a symbol that watch the same, on one side, with one kind of distance
    TrailGroup* groups
    int64_t count
    int64_t capacity
    int64_t nodes                      # in all groups, those of orders that are gone included
    int64_t live
    int64_t nearest_ticks              # no trigger is nearer than this; 0: none

cdef struct Triggers:                  # the orders of a symbol that wait, by what they watch (waiting.pxd)
    BookSide falling[2]                # go off when the watched price falls to the trigger: highest first
    BookSide rising[2]                 # go off when it rises to it: lowest first
    Trails trails[8]

cdef struct Band:                      # the marks at which pools are looked at (bands.pxd); 0: none
    int64_t falls                      # at this mark, and below
    int64_t rises                      # at the mark that this mirrors, and above

cdef struct OpenBlock:                 # 64 open positions: slots, and the bands of their pools
    int64_t falls[64]
    int64_t rises[64]
    uint32_t slots[64]

cdef struct OpenChunk:
    Band bands[64]                     # of each block: no position's is outside of it
    OpenBlock blocks[64]

cdef struct OpenChunkEntry:            # a chunk in the directory of a symbol
    Band band                          # no block's is outside of it
    OpenChunk* chunk

cdef struct PriceInput:                # a price from outside (MARK-02)
    int64_t price_ticks                # 0: none
    int64_t received_ns

cdef struct Pricing:                   # how a symbol's mark comes about where it is not set by hand (pricing.pxd)
    uint8_t composite
    uint8_t max_feeds
    int64_t max_age_ns
    int64_t ema_ns                     # time constant
    int64_t basis_q20                  # average distance of the mid from the index, ticks x 2^20
    int64_t basis_at_ns                # when it was averaged last
    PriceInput prices[MAX_FEEDS + 1]   # the index, then the feeds

cdef struct Drawing:                   # what funds may pay for a symbol, and what they have paid (funds.pxd)
    int64_t cap_atoms                  # of its own fund; -1: none
    int64_t second_cap_atoms           # of the second one; 0: there is none
    int64_t window_ns                  # 0: none
    int64_t window_cap_atoms
    int64_t own_paid_atoms             # since the policy was set
    int64_t second_paid_atoms
    int64_t last_part                  # when something was paid last, in parts of the window
    int64_t parts[WINDOW_PARTS + 1]    # what was paid in that one and those before it; a ring
    uint32_t second_fund

cdef struct Funding:                   # how a symbol's funding rate is computed, and what the interval has brought (funding.pxd)
    int64_t interval_ns
    int64_t sample_ns
    int64_t interest_ppb
    int64_t clamp_ppb
    int64_t max_rate_ppb
    int64_t impact_notional_atoms
    int64_t next_sample_ns             # its timer; 0: never
    int64_t next_funding_ns            # 0: never
    int64_t premium_sum_ppb
    uint32_t samples                   # sample times that count

cdef struct Symbol:
    int64_t mark_ticks                 # 0: none yet
    int64_t m                          # atoms per tick and lot
    int64_t last_ticks                 # the last trade; 0: none yet
    int64_t market_last_ticks          # the last one that no liquidation made, since the mark is composite
    int64_t room_tick_lots             # of further orders before exposure need be summed again (checks.pxd)
    Triggers* triggers                 # NULL until an order waits
    Symbol* next_touched               # triggers are to be looked at
    uint8_t touched
    uint8_t state
    uint8_t capped                     # a limit below counts orders (caps.pxd)
    uint8_t adl_policy                 # ADL-05
    uint8_t held                       # the mark is held: nothing may be opened (MARK-03)
    BookSide sides[2]
    # exposure (UNITS-01)
    int64_t gross_lots
    int64_t gross_entry_atoms
    int64_t resting_lots[2]            # by side
    int64_t reduce_only_lots[2]        # of them
    int64_t resting_value_tick_lots
    int64_t exposure_limit_atoms
    # policy
    uint32_t symbol
    int32_t bracket_count
    Bracket brackets[16]
    int64_t initial_margin_ppm
    int64_t taker_fee_ppm
    int64_t maker_fee_ppm
    int64_t upnl_weight_ppm
    int64_t price_band_ppm
    int64_t min_qty_lots
    int64_t max_qty_lots
    int64_t min_notional_atoms
    int64_t max_open_orders
    int64_t slippage_cap_ppm
    int64_t position_limit_atoms       # MARGIN-11; -1: none
    int64_t open_interest_limit_atoms
    int64_t oi_scaling_lower_atoms
    int64_t oi_scaling_upper_atoms     # -1: initial margin does not rise with open interest
    uint32_t fund
    int liquidation_mode
    int64_t liquidation_fee_ppm
    int64_t liquidation_fraction_ppm
    int64_t liquidation_buffer_ppm
    int64_t liquidation_min_notional_atoms
    int64_t liquidation_max_notional_atoms
    int64_t draw_cap_atoms
    wire_list_symbol listing           # as commanded, for the snapshot
    Pricing* pricing                   # NULL: the mark is set by hand
    Drawing* drawing                   # NULL: what funds pay for it has no caps but the one of the listing
    Funding* funding                   # NULL: funding is settled by hand
    # open positions, in no order
    OpenChunkEntry* open_chunks
    int64_t open_count
    int64_t open_chunk_count
    int64_t open_chunk_capacity

# -------------------------------------------------------------------------------- accounts and positions

cdef struct PoolState:                 # what liquidation knows of a collateral pool
    int64_t drawn_atoms                # from funds, in this liquidation
    uint32_t heap_place                # place in the queue + 1; 0: not queued
    uint8_t liquidating
    uint8_t uncovered
    uint8_t stale                      # STALE, NOTED (bands.pxd)
    uint8_t warned                     # so many levels it has been told of (warnings.pxd)

cdef struct Account:                   # 64 bytes: one cache line
    int64_t wallet_atoms
    uint32_t first_position            # its entries by symbol number, then leg
    uint32_t cross_positions           # how many cross positions are open
    int64_t credit_atoms               # surely available (credit.pxd)
    uint64_t credit_epoch              # known if this is the core's; 0: unknown
    int64_t collateral_atoms           # what its assets count; 0 while they do not (collateral.pxd)
    uint8_t multi_asset                # they count
    uint8_t may_owe                    # its wallet is looked at when the command ends
    uint8_t hedge                      # it is in hedge mode (ACCT-08)
    uint8_t owing                      # its pool is below zero, and symbols are charged for it (charging.pxd)
    uint8_t unused[4]
    PoolState pool                     # the cross pool

cdef struct AccountMore:               # the cold record of an account
    int64_t countdown_ns               # when its orders are cancelled; 0: never
    uint32_t stp_group                 # 0: none
    uint32_t oldest                    # its remembered client order ids
    uint32_t newest
    uint32_t remembered
    uint32_t holdings                  # slot of what it holds of collateral assets; 0: none

cdef struct Asset:                     # a collateral asset (COLL-01)
    char name[16]
    int64_t unit_parts                 # 0: not listed
    int64_t price_atoms                # of one unit; 0: none yet
    int64_t held_parts                 # by all accounts
    uint32_t haircut_ppm

cdef struct Holdings:                  # parts of each asset, by number
    int64_t parts[17]

cdef struct Remembered:                # an accepted client order id and what it was for (MATCH-08)
    uint32_t newer                     # of the account; also the slab's free list
    uint32_t index_next
    uint32_t account
    uint32_t symbol
    uint64_t client_order_id
    uint64_t order_id
    int64_t price_ticks
    int64_t qty_lots
    int64_t trigger_ticks
    uint8_t side
    uint8_t order_type
    uint8_t leg

cdef struct Timer:                     # when an order expires, a countdown ends or a premium is measured (timers.pxd)
    int64_t time_ns
    uint64_t key                       # an order id; with bit 63 an account, with bit 62 beside it a symbol

cdef struct Position:                  # the entry of an account on a symbol, in hedge mode of one leg: three cache lines
    # what every placement and every fill looks at
    int64_t position_lots
    int64_t entry_value_atoms
    int64_t margin_atoms               # isolated pool
    uint32_t account
    uint16_t symbol                    # with the leg one key (positions.pxd)
    uint16_t leg
    uint32_t next                      # next entry of the account
    uint32_t own_rate_ppm              # 0: the symbol's
    uint32_t order_count
    uint32_t reduce_only_orders        # how many of them are reduce-only, resting or waiting
    uint8_t isolated
    uint8_t visited                    # by the walk or stage that is at work
    uint8_t own_sorted[2]              # by side: the list below happens to stand best first
    uint32_t charge_q31                # while the account's credit is known: initial margin rate x 2^31, rounded up,
    int64_t room_atoms                 # and by how much what is counted may grow before another bracket's rate holds
    # its resting orders by side
    int64_t order_lots[2]              # that are not reduce-only
    int64_t order_value[2]             # the same, lots x ticks
    int64_t own_best_ticks[2]          # no order of the side has a better price than this
    uint32_t own_head[2]               # oldest first, until somebody sorts them
    uint32_t own_tail[2]
    # what opening, closing and liquidation look at
    PoolState pool                     # the isolated pool
    uint32_t open_place                # place in the symbol's open positions + 1; 0: none
    uint32_t waiting_head              # its orders that wait for a trigger, by order id
    uint32_t waiting_tail
    uint32_t waiting_reduce_only       # how many of those are reduce-only
    uint64_t counted_by                # the last fill-or-kill order that counted on one of its orders
    uint32_t index_next                # behind it in its bucket of the index of entries
    uint8_t auto_margin                # the wallet adds margin by itself (auto_margin.pxd)
    uint8_t unused[3]
    int64_t caused_atoms               # of the cross pool's deficit, unpaid (charging.pxd)
    uint64_t unused_more

cdef struct FundState:
    uint32_t fund
    int64_t balance_atoms

cdef struct QueuedPool:                # LIQ-01
    int64_t equity_atoms
    int64_t maintenance_atoms
    Account* account
    Position* position                 # NULL: the cross pool
    uint32_t account_number
    uint16_t symbol
    uint16_t leg

cdef struct Buckets:                   # a hash table that grows by one bucket at a time (order_index.pxd)
    uint32_t* heads                    # first slot of each chain; 0: empty
    uint64_t bytes_reserved
    uint64_t capacity                  # buckets there is room for
    uint64_t count                     # buckets in use
    uint64_t mask                      # the largest power of two that is not above count, - 1
    uint64_t items

# ---------------------------------------------------------------------------------------------- the whole

cdef struct Core:
    bint risk                          # off: matching alone, for measuring
    bint prevent_self_trade
    bint scan_marks                    # every mark measures every pool, for measuring
    bint prove_marks                   # and beside the bands, for testing
    bint others_bear                   # a pocket venue: whoever stands on the other side can bear a deficit
    uint64_t sequence
    int64_t timestamp_ns
    uint64_t next_order_id
    uint64_t next_trade_id
    int64_t fee_atoms
    int64_t net_deposits_atoms
    int64_t exposure_limits_atoms      # sum over symbols
    uint64_t credit_epoch              # from 1; moves on when no account's credit is known any more
    int64_t uncovered_pools
    uint32_t mover                     # the symbol by whose mark or funding pools are checked at this moment; else 0
    Slab orders
    Slab orders_more                   # never taken from: indexed by the slots of `orders`
    Slab positions
    Slab remembered
    Position blank                     # what an account's first order on a symbol is checked with, before it has an entry
    char* accounts
    char* accounts_more
    uint64_t accounts_more_bytes
    uint64_t accounts_bytes
    uint64_t* known                    # a bit for each account that was ever named
    uint64_t known_bytes
    uint32_t highest_account
    Symbol** symbols                   # by number
    uint32_t highest_symbol
    Slab narrow_blocks
    Block* free_blocks                 # wide ones
    Buckets order_index                # order id -> slot
    Buckets client_index               # (account, client order id) -> slot
    Buckets position_index             # (account, symbol and leg) -> slot of the entry
    Buckets remembered_index           # the same -> slot of what is remembered
    int warning_count                  # levels at which pools are warned; 0: nobody is (MARGIN-10)
    int64_t warning_ppm[WARNING_LEVELS]    # rising
    bint stp_groups                    # whether any account ever was in a group
    int64_t auctions                   # symbols in auction
    int64_t composites                 # symbols whose mark is composite
    Symbol* touched                    # symbols whose triggers are to be looked at
    IdQueue triggered                  # orders that go off next
    IdQueue beginning                  # trailing stops that watch from the next look at triggers on
    uint64_t next_trail_serial
    IdQueue stale                      # pools whose bands are to be drawn anew: account number, or slot of an isolated entry
    IdQueue noted                      # where anybody is warned, those that this command changed
    Timer* timers                      # a heap, the next one first
    uint64_t timers_bytes
    int64_t timer_count
    int64_t timer_live                 # those that still mean something
    Asset assets[17]                   # by number
    Slab holdings
    uint64_t* holders                  # a bit for each account that ever held an asset
    uint64_t holders_bytes
    IdQueue debtors                    # accounts whose wallet is looked at when the command ends
    FundState* funds
    int64_t fund_count
    int64_t fund_capacity
    QueuedPool* queue
    int64_t queue_count
    uint64_t queue_bytes
    # events of this batch
    char* events
    uint64_t events_bytes
    char* events_at                    # where the next one goes
    char* events_full                  # behind the last place where one may begin
    int fault                          # a broken invariant: the engine stops (see engine.pyx)

cdef inline Order* order_at(Core* core, uint32_t slot) noexcept nogil:
    return <Order*>(core.orders.base) + slot

cdef inline bint is_large(Core* core) noexcept nogil:
    """Whether the venue has outgrown the caches."""
    return core.highest_account >= MANY_ACCOUNTS or core.orders.used >= MANY_ORDERS

cdef inline OrderMore* more_at(Core* core, uint32_t slot) noexcept nogil:
    return <OrderMore*>(core.orders_more.base) + slot

cdef inline AccountMore* account_more(Core* core, uint32_t account) noexcept nogil:
    return <AccountMore*>core.accounts_more + account

cdef inline uint64_t client_id_of(Core* core, uint32_t slot) noexcept nogil:
    """The client order id of an order; 0: it has none."""
    return more_at(core, slot).client_order_id if order_at(core, slot).flags & NAMED else 0

cdef inline Position* position_at(Core* core, uint32_t slot) noexcept nogil:
    return <Position*>(core.positions.base) + slot

cdef inline void prefetch_position(Position* position) noexcept nogil:
    """Asks for the two cache lines of an entry that an order touches."""
    prefetch(position)
    prefetch(<char*>position + 64)

cdef inline uint32_t slot_of(Core* core, Position* position) noexcept nogil:
    return <uint32_t>(position - <Position*>core.positions.base)

cdef inline Account* account_at(Core* core, uint32_t account) noexcept nogil:
    return <Account*>core.accounts + account

cdef inline void know_account(Core* core, uint32_t account) noexcept nogil:
    """Whoever walks over the accounts has to pass this one."""
    core.known[account // 64] |= <uint64_t>1 << (account % 64)
    core.highest_account = max(core.highest_account, account)

cdef inline uint32_t known_after(Core* core, uint32_t account) noexcept nogil:
    """The next account that was ever named, or 0: numbers far apart cost a bit each, not a look at what is between them."""
    cdef uint32_t word = (account + 1) // 64
    cdef uint64_t bits
    if account >= core.highest_account:
        return 0
    bits = core.known[word] >> ((account + 1) % 64) << ((account + 1) % 64)
    while bits == 0:
        word += 1
        bits = core.known[word]
    return word * 64 + lowest_bit(bits)

cdef inline Symbol* symbol_at(Core* core, uint32_t symbol) noexcept nogil:
    """The symbol of this number, or NULL."""
    return core.symbols[symbol] if symbol <= MAX_SYMBOL else NULL

cdef inline OpenBlock* open_block(Symbol* symbol, int64_t place) noexcept nogil:
    """The block that the symbol's open position number `place` stands in."""
    return &symbol.open_chunks[place // OPEN_CHUNK].chunk.blocks[place % OPEN_CHUNK // OPEN_BLOCK]

cdef inline uint32_t* open_slot(Symbol* symbol, int64_t place) noexcept nogil:
    """Where the slot of that position stands."""
    return &open_block(symbol, place).slots[place % OPEN_BLOCK]

cdef inline Position* open_position_at(Core* core, Symbol* symbol, int64_t place) noexcept nogil:
    return position_at(core, open_slot(symbol, place)[0])

cdef inline Symbol* symbol_of(Core* core, Position* position) noexcept nogil:
    return core.symbols[position.symbol]

cdef inline int64_t sign_of(int side) noexcept nogil:
    """1 for a buy, -1 for a sell.  Sides are a coin's toss, so what depends on them is multiplied, not branched on."""
    return 1 - 2 * <int64_t>side

cdef inline bint reduces(Position* position, int side) noexcept nogil:
    """Whether an order of this side is opposite to the position."""
    return position.position_lots * sign_of(side) < 0

cdef inline int64_t reducible_lots(Position* position, int side) noexcept nogil:
    """|q| if an order of this side is opposite to the position, else 0."""
    return imax(0, -position.position_lots * sign_of(side))

cdef inline PoolState* pool_of(Core* core, Position* position) noexcept nogil:
    """The state of the collateral pool that the position belongs to."""
    if position.isolated:
        return &position.pool
    return &account_at(core, position.account).pool

cdef inline int ensure(Core* core, bint holds, int fault) noexcept nogil:
    """Notes a broken invariant; the batch is then refused and the engine stops (first fault wins)."""
    if not holds and core.fault == 0:
        core.fault = fault
    return 0
