"""The funding rate that the engine computes: premium samples, their average, its clamps, and its settlement (FUNDING-02).

Theory of operation.  A symbol with a funding policy has one timer, for its next premium sample.  When a command reaches it, the
book and the index are looked at once, and what they say counts for every sample time that has gone by: they have not changed
since, as nothing but commands changes them.  An interval ends at one of its sample times.  So what is due costs the same however
much time has passed, and a symbol without a policy costs nothing.  Pools that a payment brings below maintenance join the
queue, which is worked off behind the command.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free
from native.book cimport book_level, book_next_price
from native.core cimport BookSide, Core, Funding, Symbol, symbol_at
from native.events cimport event_accepted, event_new
from native.operations cimport settle_per_lot
from native.pricing cimport INDEX, is_fresh
from native.timers cimport funding_key, timer_add
from native.units cimport div_ceil, i128, iabs, imax, imin, wide
from native.wire cimport *

cdef enum:
    CAP_PPB_PER_PPM = 6000             # six times what initial exceeds maintenance by

cdef inline int64_t latest_ns() noexcept nogil:
    return 0x7fffffffffffffffLL

cdef inline int64_t clamped(int64_t value, int64_t most) noexcept nogil:
    """The value, held between -most and most."""
    return imax(-most, imin(value, most))

cdef inline int64_t next_multiple(int64_t now_ns, int64_t step_ns) noexcept nogil:
    """The first whole multiple after a time; 0: there is none that a time could be."""
    cdef int64_t last = now_ns // step_ns * step_ns
    return last + step_ns if last <= latest_ns() - step_ns else 0

# ------------------------------------------------------------------------------------------ the premium

cdef inline bint impact_value(BookSide* side, int64_t lots, i128* value) noexcept nogil:
    """Ticks x lots of so many lots of a side, best first; False: it has not so many within the levels looked at."""
    cdef int64_t price = side.best_ticks
    cdef int64_t taken
    cdef int _i
    value[0] = 0
    for _i in range(MAX_IMPACT_LEVELS):
        if price == 0:
            return False
        taken = imin(lots, book_level(side, price).lots)
        value[0] += wide(taken, price)
        lots -= taken
        if lots == 0:
            return True
        price = book_next_price(side, price)
    return False

cdef inline int64_t premium_of(Symbol* symbol, int64_t index_ticks, int64_t notional_atoms) noexcept nogil:
    """The impact bid's distance above the index, less the impact offer's below it, as a part of the index."""
    cdef int64_t lots = <int64_t>div_ceil(notional_atoms, wide(index_ticks, symbol.m))
    cdef i128 at_index = wide(lots, index_ticks)
    cdef i128 premium = 0
    cdef i128 value
    if impact_value(&symbol.sides[0], lots, &value) and value > at_index:
        premium += (value - at_index) * PPB // at_index
    if impact_value(&symbol.sides[1], lots, &value) and value < at_index:
        premium -= (at_index - value) * PPB // at_index
    if premium > PPB:
        return PPB
    return <int64_t>premium            # an offer is above 0, so it is less than the whole below the index

# --------------------------------------------------------------------------------------------- the rate

cdef inline int64_t average_premium(Funding* funding) noexcept nogil:
    """Of the interval so far, rounded towards zero; 0 without a sample."""
    if funding.samples == 0:
        return 0
    return funding.premium_sum_ppb // <int64_t>funding.samples     # a quotient in C is cut towards zero

cdef inline int64_t cap_of(Symbol* symbol) noexcept nogil:
    """The largest rate either way: the policy's, and six times the gap between the margins of the first bracket."""
    cdef int64_t gap_ppm = symbol.brackets[0].initial_ppm - symbol.brackets[0].maintenance_ppm
    return imin(symbol.funding.max_rate_ppb, CAP_PPB_PER_PPM * gap_ppm)

cdef inline int64_t uncapped_rate(Funding* funding) noexcept nogil:
    """The average premium, pulled towards the interest."""
    cdef int64_t premium = average_premium(funding)
    return premium + clamped(funding.interest_ppb - premium, funding.clamp_ppb)

cdef inline int64_t rate_of(Symbol* symbol) noexcept nogil:
    """The rate that the samples so far come to; 0 without any."""
    if symbol.funding.samples == 0:
        return 0
    return clamped(uncapped_rate(symbol.funding), cap_of(symbol))

cdef inline void event_rate(
    Core* core, Symbol* symbol, bint final, uint32_t counted, int64_t sample_ppb
) noexcept nogil:
    """The rate so far, and what made it."""
    cdef wire_funding_rate* e = <wire_funding_rate*>event_new(core, EVENT_FUNDING_RATE, sizeof(wire_funding_rate), 0)
    cdef Funding* funding = symbol.funding
    e.symbol = symbol.symbol
    e.final = final
    e.samples = funding.samples
    e.counted = counted
    e.sample_ppb = sample_ppb
    e.premium_ppb = average_premium(funding)
    e.interest_ppb = funding.interest_ppb
    e.cap_ppb = cap_of(symbol)
    e.rate_ppb = rate_of(symbol)
    e.next_funding_ns = funding.next_funding_ns
    e.clamped = funding.samples != 0 and iabs(funding.interest_ppb - e.premium_ppb) > funding.clamp_ppb
    e.capped = funding.samples != 0 and iabs(uncapped_rate(funding)) > e.cap_ppb

# ---------------------------------------------------------------------------------- samples and intervals

cdef inline void take_sample(Core* core, Symbol* symbol, int64_t until_ns) noexcept nogil:
    """One look at book and index, which counts for each sample time from the next one up to this time."""
    cdef Funding* funding = symbol.funding
    cdef int64_t sample, counted
    if symbol.pricing == NULL or not is_fresh(core, symbol.pricing, INDEX) or symbol.state != SYMBOL_STATE_OPEN:
        return
    sample = premium_of(symbol, symbol.pricing.prices[INDEX].price_ticks, funding.impact_notional_atoms)
    counted = (until_ns - funding.next_sample_ns) // funding.sample_ns + 1
    funding.premium_sum_ppb += sample * counted
    funding.samples += <uint32_t>counted
    event_rate(core, symbol, False, <uint32_t>counted, sample)

cdef inline void settle_rate(Core* core, Symbol* symbol, int64_t rate_ppb) noexcept nogil:
    """FUNDING-01 at a rate of the value at the mark, per lot to 2^-32 of an atom, rounded towards zero."""
    cdef i128 value_q32 = wide(symbol.mark_ticks, symbol.m) << 32
    settle_per_lot(core, symbol, value_q32 * rate_ppb // PPB)      # a quotient in C is cut towards zero

cdef inline void end_interval(Core* core, Symbol* symbol) noexcept nogil:
    """The rate is told and settled; the interval of the command's time begins, and those between are passed over."""
    cdef Funding* funding = symbol.funding
    cdef int64_t now = core.timestamp_ns
    cdef int64_t rate = rate_of(symbol)
    funding.next_funding_ns = next_multiple(now, funding.interval_ns)
    event_rate(core, symbol, True, 0, 0)
    if funding.samples != 0 and symbol.open_count != 0:
        settle_rate(core, symbol, rate)
    funding.premium_sum_ppb = 0
    funding.samples = 0
    funding.next_sample_ns = next_multiple(now // funding.interval_ns * funding.interval_ns, funding.sample_ns)

cdef inline void pass_symbol(Core* core, Symbol* symbol) noexcept nogil:
    """Samples, the end of an interval, samples of the next one."""
    cdef Funding* funding = symbol.funding
    cdef int64_t now = core.timestamp_ns
    core.timer_live -= 1
    if funding.next_funding_ns and funding.next_funding_ns <= now:
        take_sample(core, symbol, funding.next_funding_ns)
        end_interval(core, symbol)
    if funding.next_sample_ns and funding.next_sample_ns <= now:
        take_sample(core, symbol, now)
        funding.next_sample_ns = next_multiple(now, funding.sample_ns)
    if funding.next_sample_ns:
        timer_add(core, funding.next_sample_ns, funding_key(symbol.symbol))

cdef inline void pass_funding(Core* core) noexcept nogil:
    """What the time of the command makes due, by symbol."""
    cdef uint32_t number
    cdef Symbol* symbol
    for number in range(1, core.highest_symbol + 1):
        symbol = symbol_at(core, number)
        if symbol != NULL and symbol.funding != NULL and 0 < symbol.funding.next_sample_ns <= core.timestamp_ns:
            pass_symbol(core, symbol)

# ------------------------------------------------------------------------------------------ the command

cdef inline bint valid_funding_policy(wire_set_funding_policy* c) noexcept nogil:
    if c.enabled == 0:
        return True
    return c.enabled == 1 and MIN_SAMPLE_NS <= c.sample_ns <= c.interval_ns <= MAX_POLICY_NS \
        and c.interval_ns % c.sample_ns == 0 and -PPB <= c.interest_ppb <= PPB and 0 <= c.clamp_ppb <= PPB \
        and 0 <= c.max_rate_ppb <= PPB and 1 <= c.impact_notional_atoms <= MAX_AMOUNT_ATOMS

cdef inline void funding_drop(Core* core, Symbol* symbol) noexcept nogil:
    """Funding is settled by hand from now on."""
    if symbol.funding != NULL and symbol.funding.next_sample_ns:
        core.timer_live -= 1
    free(symbol.funding)
    symbol.funding = NULL

cdef inline void event_funding_policy(Core* core, Symbol* symbol) noexcept nogil:
    """What holds now; without a policy all its numbers are 0."""
    cdef wire_funding_policy_set* e = <wire_funding_policy_set*>event_new(
        core, EVENT_FUNDING_POLICY_SET, sizeof(wire_funding_policy_set), 0)
    cdef Funding none
    cdef Funding* funding = symbol.funding
    if funding == NULL:
        none.interval_ns = none.sample_ns = none.interest_ppb = none.clamp_ppb = none.max_rate_ppb = 0
        none.impact_notional_atoms = none.next_funding_ns = 0
        funding = &none
    e.symbol = symbol.symbol
    e.enabled = symbol.funding != NULL
    e.interval_ns = funding.interval_ns
    e.sample_ns = funding.sample_ns
    e.interest_ppb = funding.interest_ppb
    e.clamp_ppb = funding.clamp_ppb
    e.max_rate_ppb = funding.max_rate_ppb
    e.impact_notional_atoms = funding.impact_notional_atoms
    e.next_funding_ns = funding.next_funding_ns

cdef inline void begin_funding(Core* core, Symbol* symbol, wire_set_funding_policy* c) noexcept nogil:
    """A policy that is set begins anew, at the next whole multiples."""
    cdef Funding* funding = symbol.funding
    funding.interval_ns = c.interval_ns
    funding.sample_ns = c.sample_ns
    funding.interest_ppb = c.interest_ppb
    funding.clamp_ppb = c.clamp_ppb
    funding.max_rate_ppb = c.max_rate_ppb
    funding.impact_notional_atoms = c.impact_notional_atoms
    funding.next_sample_ns = next_multiple(core.timestamp_ns, c.sample_ns)
    funding.next_funding_ns = next_multiple(core.timestamp_ns, c.interval_ns)
    if funding.next_sample_ns:
        timer_add(core, funding.next_sample_ns, funding_key(c.symbol))

cdef inline int set_funding_policy(Core* core, wire_set_funding_policy* c) noexcept nogil:
    """FUNDING-02: the engine settles from now on, or no longer does."""
    cdef Symbol* symbol = symbol_at(core, c.symbol)
    cdef Funding* room
    if symbol == NULL:
        return REJECT_REASON_UNKNOWN_SYMBOL
    if not valid_funding_policy(c):
        return REJECT_REASON_INVALID_POLICY
    if symbol.state == SYMBOL_STATE_SETTLED:
        return REJECT_REASON_SYMBOL_STATE_FORBIDS
    if c.enabled and (symbol.pricing == NULL or not symbol.pricing.composite):
        return REJECT_REASON_UNKNOWN_PRICE_SOURCE
    room = <Funding*>calloc(1, sizeof(Funding)) if c.enabled else NULL
    if c.enabled and room == NULL:
        return REJECT_REASON_OUT_OF_CAPACITY
    event_accepted(core, 0, COMMAND_SET_FUNDING_POLICY, 0, 0)
    funding_drop(core, symbol)
    symbol.funding = room
    if c.enabled:
        begin_funding(core, symbol, c)
    event_funding_policy(core, symbol)
    return 0
