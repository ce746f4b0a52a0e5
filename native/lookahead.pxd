"""Looking ahead in a batch: asking the memory for what the next commands will touch.

Theory of operation.  A command's chain of memory is account -> position -> orders, or id -> order -> position and its neighbours
in the queue; in a large venue each link is a cache miss, which costs more than all that the command does.  So while one
command is carried out, the links of later ones are asked for: the first link of the command that is furthest ahead, and one
link further for each that is nearer.  Nothing is read here that does not stand in memory of the engine's own, and nothing
is changed: a wrong guess costs nothing but its prefetch.
"""

from libc.stdint cimport uint32_t, uint64_t
from native.book cimport book_front
from native.core cimport BookSide, Core, Order, Position, Symbol, account_at, order_at, position_at, prefetch_position, symbol_at
from native.memory cimport prefetch
from native.order_index cimport bucket_of
from native.wire cimport *

cdef enum:
    DISTANCE = 2                       # commands between one link and the next

cdef inline uint64_t named_order(wire_command_header* header) noexcept nogil:
    """The order id that a cancel or an amend names (at the same place in both); 0: none."""
    if (header.type == COMMAND_CANCEL_ORDER or header.type == COMMAND_AMEND_ORDER) \
            and header.size >= sizeof(wire_cancel_order):
        return (<wire_cancel_order*>header).order_id
    return 0

cdef inline uint32_t slot_ahead(Core* core, uint64_t order_id) noexcept nogil:
    """The first slot of the order's bucket: nearly always the order."""
    return bucket_of(&core.order_index, order_id)[0]

cdef inline void prefetch_first_link(Core* core, wire_command_header* header) noexcept nogil:
    """The account, and where the index would have the order."""
    cdef uint64_t order_id = named_order(header)
    if order_id:
        prefetch(bucket_of(&core.order_index, order_id))
    if header.account <= MAX_ACCOUNT:
        prefetch(account_at(core, header.account))

cdef inline void prefetch_second_link(Core* core, wire_command_header* header) noexcept nogil:
    """The order, or the account's first entry."""
    cdef uint64_t order_id = named_order(header)
    if order_id:
        prefetch(order_at(core, slot_ahead(core, order_id)))
    elif header.account <= MAX_ACCOUNT:
        prefetch_position(position_at(core, account_at(core, header.account).first_position))

cdef inline void prefetch_third_link(Core* core, wire_command_header* header) noexcept nogil:
    """The order's entry and its neighbours in the queue; or whom a placement would meet."""
    cdef uint64_t order_id = named_order(header)
    cdef Order* order
    if order_id:
        order = order_at(core, slot_ahead(core, order_id))
        prefetch_position(position_at(core, order.position))
        prefetch(order_at(core, order.next))
        prefetch(order_at(core, order.previous))
    elif header.type == COMMAND_PLACE_ORDER and header.size >= sizeof(wire_place_order) \
            and header.account <= MAX_ACCOUNT and (<wire_place_order*>header).side <= SIDE_SELL:
        prefetch_own_tail(core, <wire_place_order*>header)
        prefetch_maker(core, <wire_place_order*>header)

cdef inline void prefetch_own_tail(Core* core, wire_place_order* c) noexcept nogil:
    """The account's last order of the side, behind which the new one is linked."""
    cdef Position* position = position_at(core, account_at(core, c.account).first_position)
    prefetch(order_at(core, position.own_tail[c.side]))

cdef inline void prefetch_maker(Core* core, wire_place_order* c) noexcept nogil:
    """The account that an order would meet first."""
    cdef Symbol* symbol = symbol_at(core, c.symbol)
    cdef BookSide* opposite
    if symbol == NULL:
        return
    opposite = &symbol.sides[1 - c.side]
    if opposite.best_ticks:
        prefetch(account_at(core, order_at(core, book_front(opposite).head).account))

cdef inline wire_command_header* command_behind(wire_command_header* command, const char* end) noexcept nogil:
    """The command after this one; behind the last one, the end stays the end."""
    return <wire_command_header*>(<char*>command + command.size) if <char*>command < end else command

cdef inline wire_command_header* link_behind(wire_command_header* command, const char* end) noexcept nogil:
    """The command that is DISTANCE commands behind this one, or the end."""
    cdef int _i
    for _i in range(DISTANCE):
        command = command_behind(command, end)
    return command

# Where the links of later commands are asked for.
cdef struct Lookahead:
    const char* end
    wire_command_header* third
    wire_command_header* second
    wire_command_header* first

cdef inline Lookahead look_from(wire_command_header* command, const char* end) noexcept nogil:
    """The three places, DISTANCE commands from each other."""
    cdef Lookahead ahead
    ahead.end = end
    ahead.third = link_behind(command, end)
    ahead.second = link_behind(ahead.third, end)
    ahead.first = link_behind(ahead.second, end)
    return ahead

cdef inline void look_ahead(Core* core, Lookahead* ahead) noexcept nogil:
    """Asks for one link of each of the three, and goes on by a command."""
    if <char*>ahead.first < ahead.end:
        prefetch_first_link(core, ahead.first)
    if <char*>ahead.second < ahead.end:
        prefetch_second_link(core, ahead.second)
    if <char*>ahead.third < ahead.end:
        prefetch_third_link(core, ahead.third)
    ahead.third = command_behind(ahead.third, ahead.end)
    ahead.second = command_behind(ahead.second, ahead.end)
    ahead.first = command_behind(ahead.first, ahead.end)
