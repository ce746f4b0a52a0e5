"""The lane: commands from the sockets to the engine and events back, without a Python object and without the GIL.

Theory of operation.  The loop of a node is Python (exchange/node.py, exchange/gateway), and this is not another one: it is
the same loop for its common case.  A frame that is nothing but well-formed commands, of a session that is logged in for
all their accounts, by the traders' door, is read from libzmq straight into the batch's buffer.  Every other frame is
*handed up*: the batch so far is carried out first, then Python does with the frame what it always does, so that rules
exist once and in one order.  What Python changes of its sessions it tells (``login``, ``lost``, ``removed``), and the
mirror of them here follows.

A batch is stamped, journaled, applied, and its events are written behind one another into one letter for each client
concerned (native/mail.pxd).  Letters wait, in the order of the journal and in one line with those of Python, until the
journal has released their sequence.  Then Python tells the public.

The GIL is released for all of it and taken for what is handed up, for the journal and the public once a batch, and when
the wake end can be read: that is a signal, a ``stop``, or the journal that has something to release.
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_RawFree
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.errno cimport EAGAIN, EINTR
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, clockid_t, timespec
from posix.unistd cimport read

from native.buffer cimport buffer_free, buffer_reserve, buffer_t
from native.counters cimport (
    COUNT_BYTES_IN, COUNT_BYTES_OUT, COUNT_FRAMES_IN, COUNT_FRAMES_OUT, COUNTER_SLOTS, STAGE_APPLY, STAGE_DECODE,
    STAGE_JOURNAL, STAGE_RECEIVE, STAGE_SEND, STAGE_TELL, count_commands, count_events, counter_slot, observe,
)
from native.doors cimport APPLIED, CODEC_DOOR, ENGINE_DOOR, codec_door_t, engine_door_t
from native.mail cimport (
    client_add, client_find, client_login, client_remove, client_t, forget_accounts, grown, is_logged_in, listeners_of,
    listeners_t, mail_close, mail_open, mail_reap, mail_t, mail_touch,
)
from native.units cimport rarely, usually
from native.wire cimport COMMAND_PLACE_ORDERS, FIRST_EVENT, wire_command_header, wire_event_header, wire_place_orders_head
from native.zmq_api cimport (
    EHOSTUNREACH, ZMQ_DONTWAIT, ZMQ_POLLIN, ZMQ_SNDMORE, ZmqApi, zmq_api_load, zmq_api_socket, zmq_msg_t, zmq_pollitem_t,
)

cdef enum:
    MAX_SUBSCRIPTIONS = 256            # taken in one round, like messages for ROUND_BYTES

cdef enum:                             # places in the list of what is waited for
    WAKE
    MARKET_DATA
    ADMIN
    ORDERS
    ITEMS

cdef enum:                             # what became of a letter
    SENT_TAKEN
    SENT_TOO_SLOW
    SENT_GONE

cdef struct origin_t:                  # of one command of the batch
    client_t* sender
    uint64_t request_id

cdef struct held_t:                    # a letter that waits for the journal
    uint64_t sequence
    client_t* client
    buffer_t letter

cdef struct outbox_t:                  # a queue: held[first] .. held[end - 1]
    held_t* held
    uint32_t first
    uint32_t end
    uint32_t room
    uint64_t bytes


cdef class Lane:
    """The lane of one node.

    Args:
        engine: a native engine; its ``door`` is used.
        codec: the door of the native codec.
        orders, admin, market_data: the sockets, made and bound in Python.
        wake_fileno: what can be read when there is something to look up for.
        upstairs: the rest of the node (exchange/gateway/lane.py).
        counters: the array of what the node counts (native/counters.pxd).
        commands: numbers of the commands that the traders' door takes.
        max_clients, max_orders, max_held_bytes, round_bytes: the node's bounds.
        clock: what to ask for the time in Python; None: the system's.

    Raises ImportError where libzmq's functions cannot be had, MemoryError.
    """

    cdef ZmqApi zmq
    cdef engine_door_t* engine
    cdef codec_door_t* codec
    cdef object kept                   # what lives as long as the pointers into it
    cdef object upstairs
    cdef object clock
    cdef Py_buffer counters
    cdef uint64_t* slots
    cdef uint64_t since_ns             # when the stage that is being timed began
    cdef zmq_pollitem_t items[ITEMS]
    cdef bint takes[FIRST_EVENT]
    cdef int64_t max_orders
    cdef uint64_t max_held_bytes
    cdef int64_t round_bytes

    cdef mail_t mail
    cdef outbox_t outbox
    cdef zmq_msg_t peer, payload, surplus
    cdef int parts                     # of the message received last, its routing id not counted
    cdef int64_t message_bytes
    cdef bint more                     # the last round ended at its bound: there may be more

    cdef buffer_t batch                # command records
    cdef buffer_t origins              # an origin_t for each
    cdef uint64_t count
    cdef list handed                   # frames for Python, in order
    cdef bint has_handed

    # What the lane and Python both move; it is Python's while the lane looks up.
    cdef uint64_t next_sequence
    cdef int64_t timestamp_ns
    cdef uint64_t released_up_to
    cdef uint64_t held_up              # sequence of the oldest that Python's outbox holds; all ones: it is empty
    cdef uint64_t held_up_bytes
    cdef int64_t patience_ms           # -1: nothing up there needs a look without being asked
    cdef bint takes_nothing            # every frame is Python's
    cdef bint stopping
    cdef bint reading                  # whether there was room for more from clients

    def __cinit__(self):
        memset(&self.mail, 0, sizeof(mail_t))
        memset(&self.outbox, 0, sizeof(outbox_t))
        memset(&self.batch, 0, sizeof(buffer_t))
        memset(&self.origins, 0, sizeof(buffer_t))
        self.zmq.msg_close = NULL
        self.slots = NULL
        self.reading = True

    def __init__(
        self, *, engine, codec, orders, admin, market_data, int wake_fileno, upstairs, counters, commands,
        uint64_t max_clients, int64_t max_orders, uint64_t max_held_bytes, int64_t round_bytes, uint64_t seed, clock=None,
    ):
        zmq_api_load(&self.zmq)
        self.zmq.msg_init(&self.peer)
        self.zmq.msg_init(&self.payload)
        self.zmq.msg_init(&self.surplus)
        door = engine.door()
        self.kept = (engine, door, codec, orders, admin, market_data)
        self.engine = <engine_door_t*>PyCapsule_GetPointer(door, ENGINE_DOOR)
        self.codec = <codec_door_t*>PyCapsule_GetPointer(codec, CODEC_DOOR)
        if not mail_open(&self.mail, max_clients, seed):
            raise MemoryError
        PyObject_GetBuffer(counters, &self.counters, PyBUF_WRITABLE)
        if self.counters.len != COUNTER_SLOTS * sizeof(uint64_t):
            raise ValueError(f"wanted {COUNTER_SLOTS} counters of 8 bytes, got {self.counters.len} bytes")
        self.slots = <uint64_t*>self.counters.buf
        self.upstairs = upstairs
        self.clock = clock
        self.max_orders = max_orders
        self.max_held_bytes = max_held_bytes
        self.round_bytes = round_bytes
        for number in range(FIRST_EVENT):
            self.takes[number] = number in commands
        memset(self.items, 0, sizeof(self.items))
        self.items[WAKE].fd = wake_fileno
        self.items[MARKET_DATA].socket = zmq_api_socket(market_data)
        self.items[ADMIN].socket = zmq_api_socket(admin)
        self.items[ORDERS].socket = zmq_api_socket(orders)
        for place in range(ITEMS):
            self.items[place].events = <short>ZMQ_POLLIN
        self.handed = []

    def __dealloc__(self):
        mail_close(&self.mail)
        while self.outbox.first < self.outbox.end:
            buffer_free(&self.outbox.held[self.outbox.first].letter)
            self.outbox.first += 1
        PyMem_RawFree(self.outbox.held)
        buffer_free(&self.batch)
        buffer_free(&self.origins)
        if self.slots != NULL:
            PyBuffer_Release(&self.counters)
        if self.zmq.msg_close != NULL:
            self.zmq.msg_close(&self.peer)
            self.zmq.msg_close(&self.payload)
            self.zmq.msg_close(&self.surplus)

    # ------------------------------------------------------------------------------- what Python tells of sessions

    def login(self, bytes peer not None, uint32_t account):
        """The session of ``peer`` at the traders' door is logged in for one account more."""
        cdef client_t* client = client_add(&self.mail, peer, len(peer))
        if client == NULL or not client_login(&self.mail, client, account):
            raise MemoryError
        client.may_command = True
        client.is_lost = False

    def lost(self, bytes peer not None):
        """It read too slowly and hears nothing until it logs in again."""
        cdef client_t* client = client_find(&self.mail, peer, len(peer))
        if client != NULL:
            forget_accounts(&self.mail, client)
            client.may_command = False
            client.is_lost = True

    def removed(self, bytes peer not None):
        """It is gone, or has logged out; what was on its way to it is still tried."""
        cdef client_t* client = client_find(&self.mail, peer, len(peer))
        if client != NULL:
            client_remove(&self.mail, client)

    @property
    def held_bytes(self):
        """Bytes of letters that wait here for the journal."""
        return self.outbox.bytes

    # ------------------------------------------------------------------------------------------------ the loop

    def run(self):
        """Serves until Python says that it stops; then everything taken is done, and what may leave has left."""
        self.look()
        with nogil:
            while not self.stopping:
                self.turn()

    def release(self):
        """Lets leave what the journal has released by now."""
        self.look()
        with nogil:
            self.let_go()

    cdef int turn(self) except -1 nogil:
        """One round: wait, take, carry out, tell."""
        cdef bint with_clients = self.outbox.bytes + self.held_up_bytes < self.max_held_bytes
        if rarely(with_clients != self.reading):
            self.note_reading(with_clients)
        self.wait(with_clients)
        if self.stopping:
            return 0
        self.since_ns = self.ns_of(CLOCK_MONOTONIC)
        self.more = False
        if with_clients and self.items[ORDERS].revents:
            self.drain_orders()
        if with_clients and self.items[ADMIN].revents:
            self.drain_admin()
        if self.count:
            self.carry_out()
        if self.has_handed:
            self.hand_up()
        if self.items[MARKET_DATA].revents:
            self.welcome()
        if rarely(self.patience_ms >= 0):
            self.look_after()
        self.let_go()
        if self.mail.removed != NULL:
            mail_reap(&self.mail)
        return 0

    cdef int wait(self, bint with_clients) except -1 nogil:
        """Returns when there is something to do, and looks up where somebody there wants that."""
        cdef int place, ready
        cdef long timeout_ms = 0 if self.more else <long>self.patience_ms
        for place in range(ITEMS):
            self.items[place].revents = 0
        ready = self.zmq.poll(self.items, ITEMS if with_clients else ADMIN, timeout_ms)
        if ready < 0 and self.zmq.error() != EINTR:
            self.fail(b"waiting for")
        if ready < 0 or self.items[WAKE].revents or (ready == 0 and not self.more):
            self.come_up()
        return 0

    # ------------------------------------------------------------------------------------------------ receiving

    cdef int receive(self, void* socket) except -1 nogil:
        """Takes one message: its routing id, its first part, and how many there are.  0: none is there."""
        cdef zmq_msg_t* to = &self.payload
        if not self.receive_part(&self.peer, socket):
            return 0
        self.parts = 0
        self.message_bytes = self.zmq.msg_size(&self.peer)
        if not self.zmq.msg_more(&self.peer):
            return 1
        while True:
            # A message arrives whole, so its other parts are there.
            if not self.receive_part(to, socket):
                self.fail(b"receiving a part from")
            self.parts += 1
            self.message_bytes += self.zmq.msg_size(to)
            if not self.zmq.msg_more(to):
                return 1
            to = &self.surplus

    cdef inline int receive_part(self, zmq_msg_t* to, void* socket) except -1 nogil:
        while self.zmq.msg_receive(to, socket, ZMQ_DONTWAIT) < 0:
            if self.zmq.error() == EAGAIN:
                return 0
            if self.zmq.error() != EINTR:
                self.fail(b"receiving from")
        return 1

    cdef int drain_orders(self) except -1 nogil:
        """Takes what traders sent until nothing is left or the bound is reached."""
        cdef int64_t left = self.round_bytes
        while left > 0:
            if not self.receive(self.items[ORDERS].socket):
                return 0
            left -= self.message_bytes
            if not self.take():
                self.keep_for_python(ORDERS)
        self.more = True
        return 0

    cdef int drain_admin(self) except -1 nogil:
        cdef int64_t left = self.round_bytes
        while left > 0:
            if not self.receive(self.items[ADMIN].socket):
                return 0
            left -= self.message_bytes
            self.keep_for_python(ADMIN)
        self.more = True
        return 0

    cdef int take(self) except -1 nogil:
        """Adds the commands of the frame to the batch; 0 if it is not of the kind that the lane takes."""
        cdef client_t* client = self.sender()
        if client == NULL:
            return 0
        if rarely(self.has_handed):
            # Frames before it wait for Python, and may change what its session may.
            self.hand_up()
            client = self.sender()
            if client == NULL:
                return 0
        return self.read_commands(client)

    cdef inline client_t* sender(self) noexcept nogil:
        """Who sent the frame, if it may be the lane's; NULL otherwise."""
        cdef client_t* client
        if self.parts != 1 or self.takes_nothing:
            return NULL
        client = client_find(&self.mail, <const uint8_t*>self.zmq.msg_data(&self.peer), self.zmq.msg_size(&self.peer))
        return client if client != NULL and client.may_command and not client.is_handed_up else NULL

    cdef int read_commands(self, client_t* client) except -1 nogil:
        """All commands of the frame, or none."""
        cdef const uint8_t* at = <const uint8_t*>self.zmq.msg_data(&self.payload)
        cdef const uint8_t* end = at + self.zmq.msg_size(&self.payload)
        cdef size_t used = self.batch.used
        cdef uint64_t count = self.count
        cdef int64_t orders = 0
        cdef origin_t* origin
        cdef wire_command_header* header
        if at == end:
            return 0
        while at < end:
            if buffer_reserve(&self.batch, self.codec.command_room) < 0 or buffer_reserve(&self.origins, sizeof(origin_t)) < 0:
                self.no_memory()
            header = <wire_command_header*>(self.batch.bytes + self.batch.used)
            origin = <origin_t*>(self.origins.bytes + self.origins.used)
            at = self.codec.read_command(at, end, <uint8_t*>header, &origin.request_id)
            if rarely(at == NULL):
                break
            orders += orders_of(header)
            if rarely(orders > self.max_orders or not self.takes[header.type]
                      or not is_logged_in(&self.mail, client, header.account)):
                at = NULL
                break
            origin.sender = client
            self.batch.used += header.size
            self.origins.used += sizeof(origin_t)
            self.count += 1
        if usually(at != NULL):
            self.slots[<int>COUNT_FRAMES_IN] += 1
            self.slots[<int>COUNT_BYTES_IN] += self.zmq.msg_size(&self.payload)
            return 1
        self.batch.used = used
        self.origins.used = count * sizeof(origin_t)
        self.count = count
        return 0

    # ------------------------------------------------------------------------------------------------ looking up

    cdef int keep_for_python(self, int door) except -1 nogil:
        """Sets the frame aside for Python, after all that came before it is carried out."""
        cdef client_t* client
        if self.count:
            self.carry_out()
        if door == ORDERS:
            client = client_find(&self.mail, <const uint8_t*>self.zmq.msg_data(&self.peer), self.zmq.msg_size(&self.peer))
            if client != NULL:
                client.is_handed_up = True
        self.has_handed = True
        with gil:
            self.handed.append((
                door == ADMIN,
                self.bytes_of(&self.peer),
                self.bytes_of(&self.payload) if self.parts == 1 else None,
            ))
        return 0

    cdef bytes bytes_of(self, zmq_msg_t* message):
        return PyBytes_FromStringAndSize(<const char*>self.zmq.msg_data(message), self.zmq.msg_size(message))

    cdef int hand_up(self) except -1 nogil:
        """Has Python do what it does with frames."""
        cdef client_t* client
        with gil:
            frames = self.handed
            self.handed = []
            self.has_handed = False
            for _, peer, _ in frames:
                client = client_find(&self.mail, <bytes>peer, len(<bytes>peer))
                if client != NULL:
                    client.is_handed_up = False
            self.upstairs.handle(frames, self.since_ns)
            self.upstairs.look_up()
            self.look()
        return 0

    cdef int come_up(self) except -1 nogil:
        """For signals, a stop, and what the journal has released."""
        cdef char wakes[4096]
        if self.items[WAKE].revents:
            while read(self.items[WAKE].fd, wakes, sizeof(wakes)) == sizeof(wakes):
                pass
        with gil:
            PyErr_CheckSignals()
            self.upstairs.look_up()
            self.look()
        return 0

    cdef int look_after(self) except -1 with gil:
        """For what waits up there for something else than the journal: room in a queue, a time."""
        self.upstairs.look_up()
        self.upstairs.release(self.released_up_to)
        self.look()
        return 0

    cdef int look(self) except -1:
        """Reads how things stand up there."""
        standing = self.upstairs.standing()
        self.stopping = standing.stopping
        self.takes_nothing = standing.draining
        self.next_sequence = standing.last_sequence + 1
        self.timestamp_ns = standing.timestamp_ns
        self.released_up_to = standing.released_up_to
        self.held_up = <uint64_t>-1 if standing.oldest_held is None else standing.oldest_held
        self.held_up_bytes = standing.held_bytes
        self.patience_ms = -1 if standing.patience_ms is None else standing.patience_ms
        return 0

    cdef int note_reading(self, bint reading) except -1 with gil:
        """Has it logged that nothing is taken from clients, or that they are read from again."""
        self.reading = reading
        self.upstairs.note_reading()
        return 0

    cdef int welcome(self) except -1 nogil:
        """Has new subscribers told how their topics stand."""
        cdef int left = MAX_SUBSCRIPTIONS
        with gil:
            topics = []
            while left and self.receive_part(&self.payload, self.items[MARKET_DATA].socket):
                left -= 1
                message = self.bytes_of(&self.payload)
                if message[:1] == b"\x01":
                    topics.append(message[1:])
            if topics:
                self.upstairs.welcome(topics)
                self.look()
        return 0

    # ------------------------------------------------------------------------------------------------ carrying out

    cdef int carry_out(self) except -1 nogil:
        """From commands to letters: the way of every batch, as in exchange/node.py."""
        cdef const char* events
        cdef int64_t event_bytes
        cdef uint64_t first_sequence = self.next_sequence
        self.lap(STAGE_RECEIVE)
        self.stamp()
        self.lap(STAGE_DECODE)
        self.write_down(first_sequence)
        self.lap(STAGE_JOURNAL)
        if self.engine.apply(self.engine.core, <const char*>self.batch.bytes, self.batch.used, &events, &event_bytes) != APPLIED:
            self.broken()
        self.lap(STAGE_APPLY)
        self.address(<const uint8_t*>events, event_bytes)
        self.hold_letters()
        self.lap(STAGE_TELL)
        self.let_go()
        self.tell_public(first_sequence, events, event_bytes)
        count_commands(self.slots, self.batch.bytes, self.batch.used)
        count_events(self.slots, <const uint8_t*>events, event_bytes, self.timestamp_ns)
        self.engine.forget_events(self.engine.core)
        self.batch.used = self.origins.used = self.count = 0
        return 0

    cdef int stamp(self) except -1 nogil:
        """Consecutive sequences, and one time for all, which never runs backwards."""
        cdef uint8_t* at = self.batch.bytes
        cdef uint8_t* end = at + self.batch.used
        cdef wire_command_header* header
        cdef int64_t now_ns = self.now_ns()
        if now_ns > self.timestamp_ns:
            self.timestamp_ns = now_ns
        while at < end:
            header = <wire_command_header*>at
            header.sequence = self.next_sequence
            header.timestamp_ns = self.timestamp_ns
            self.next_sequence += 1
            at += header.size
        return 0

    cdef int64_t now_ns(self) except? -1 nogil:
        if self.clock is not None:
            with gil:
                return self.clock()
        return self.ns_of(CLOCK_REALTIME)

    cdef inline int64_t ns_of(self, clockid_t clock) noexcept nogil:
        cdef timespec now
        clock_gettime(clock, &now)
        return <int64_t>now.tv_sec * 1000000000 + now.tv_nsec

    cdef inline void lap(self, counter_slot stage) noexcept nogil:
        """A stage is over, and the next one begins."""
        cdef uint64_t now_ns = self.ns_of(CLOCK_MONOTONIC)
        observe(self.slots, stage, now_ns - self.since_ns)
        self.since_ns = now_ns

    cdef int write_down(self, uint64_t first_sequence) except -1 nogil:
        with gil:
            self.released_up_to = self.upstairs.append(
                first_sequence, self.count, self.timestamp_ns,
                PyBytes_FromStringAndSize(<const char*>self.batch.bytes, self.batch.used))
        return 0

    cdef int broken(self) except -1 with gil:
        """Has the engine say in Python what is wrong with it."""
        self.kept[0].apply(b"")
        raise AssertionError(f"the engine did not take a batch whose first command is {self.next_sequence - self.count}")

    cdef int tell_public(self, uint64_t first_sequence, const char* events, int64_t event_bytes) except -1 with gil:
        self.upstairs.tell(
            first_sequence, self.count, self.timestamp_ns, PyBytes_FromStringAndSize(events, event_bytes))
        self.look_at_outbox()
        return 0

    cdef int look_at_outbox(self) except -1:
        oldest_held, self.held_up_bytes = self.upstairs.held()
        self.held_up = <uint64_t>-1 if oldest_held is None else oldest_held
        return 0

    # ------------------------------------------------------------------------------------------------ addressing

    cdef int address(self, const uint8_t* at, int64_t left) except -1 nogil:
        """Writes every event into the letters of those whose it is: exchange/gateway/replies.py says who that is."""
        cdef const uint8_t* end = at + left
        cdef wire_command_header* command = <wire_command_header*>self.batch.bytes
        cdef origin_t* origin = <origin_t*>self.origins.bytes
        cdef const wire_event_header* event
        cdef listeners_t* listeners
        cdef bint is_reply
        cdef uint32_t i
        while at < end:
            event = <const wire_event_header*>at
            while command.sequence != event.sequence:
                command = <wire_command_header*>(<uint8_t*>command + command.size)
                origin += 1
            is_reply = event.account == command.account
            if is_reply:
                self.write(origin.sender, at, origin.request_id)
            listeners = listeners_of(&self.mail, event.account)
            for i in range(listeners.count):
                if not is_reply or listeners.clients[i] != origin.sender:
                    self.write(listeners.clients[i], at, 0)
            at += event.size
        return 0

    cdef inline int write(self, client_t* client, const uint8_t* event, uint64_t request_id) except -1 nogil:
        cdef buffer_t* letter = &client.letter
        cdef uint8_t* start
        if buffer_reserve(letter, self.codec.event_room) < 0 or not mail_touch(&self.mail, client):
            self.no_memory()
        start = letter.bytes + letter.used
        letter.used += self.codec.write_event(start, event, request_id) - start
        return 0

    # ------------------------------------------------------------------------------------------------ sending

    cdef int hold_letters(self) except -1 nogil:
        """Puts the letters of the batch into the outbox."""
        cdef outbox_t* outbox = &self.outbox
        cdef client_t* client
        cdef held_t* held
        cdef void* moved
        cdef uint32_t i
        for i in range(self.mail.touched_count):
            client = self.mail.touched[i]
            client.is_touched = False
            if client.is_lost:
                client.letter.used = 0
                continue
            moved = grown(outbox.held, &outbox.room, outbox.end, sizeof(held_t))
            if moved == NULL:
                self.no_memory()
            outbox.held = <held_t*>moved
            held = &outbox.held[outbox.end]
            outbox.end += 1
            held.sequence = self.next_sequence - 1
            held.client = client
            held.letter = client.letter
            memset(&client.letter, 0, sizeof(buffer_t))
            client.letters_held += 1
            outbox.bytes += held.letter.used
        self.mail.touched_count = 0
        return 0

    cdef int let_go(self) except -1 nogil:
        """Sends what the journal has released, Python's letters and the lane's in the order in which they were held."""
        cdef outbox_t* outbox = &self.outbox
        cdef held_t* held
        cdef bint sends = outbox.first < outbox.end and outbox.held[outbox.first].sequence <= self.released_up_to
        if sends:
            self.since_ns = self.ns_of(CLOCK_MONOTONIC)
        while outbox.first < outbox.end and outbox.held[outbox.first].sequence <= self.released_up_to:
            held = &outbox.held[outbox.first]
            if rarely(self.held_up < held.sequence):
                self.release_up(held.sequence - 1)
                continue
            outbox.first += 1
            outbox.bytes -= held.letter.used
            self.deliver(held)
        if sends:
            self.lap(STAGE_SEND)
        if outbox.first == outbox.end:
            outbox.first = outbox.end = 0
        elif 2 * outbox.first > outbox.room:
            # Half of it is empty at the front: what waits moves there.
            memcpy(outbox.held, outbox.held + outbox.first, (outbox.end - outbox.first) * sizeof(held_t))
            outbox.end -= outbox.first
            outbox.first = 0
        if self.held_up <= self.released_up_to:
            self.release_up(self.released_up_to)
        return 0

    cdef int release_up(self, uint64_t up_to) except -1 nogil:
        with gil:
            self.upstairs.release(up_to)
            self.look()
        return 0

    cdef int deliver(self, held_t* held) except -1 nogil:
        """Sends one letter.  Who lost its session hears nothing more of its events: a part would mislead."""
        cdef client_t* client = held.client
        cdef buffer_t letter = held.letter
        cdef int outcome = SENT_TAKEN
        client.letters_held -= 1
        if not client.is_lost:
            outcome = self.send(client, letter.bytes, letter.used)
            self.slots[<int>COUNT_FRAMES_OUT] += 1
            self.slots[<int>COUNT_BYTES_OUT] += letter.used
        letter.used = 0
        if client.letter.bytes == NULL:
            client.letter = letter
        else:
            buffer_free(&letter)
        if rarely(outcome != SENT_TAKEN) and not client.is_removed:
            with gil:
                self.upstairs.undelivered(client.id[:client.id_bytes], outcome == SENT_GONE)
                self.look()
        return 0

    cdef int send(self, client_t* client, const uint8_t* payload, size_t size) except -1 nogil:
        cdef void* socket = self.items[ORDERS].socket
        cdef zmq_msg_t message
        while self.zmq.send(socket, client.id, client.id_bytes, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0:
            if self.zmq.error() == EAGAIN:
                return SENT_TOO_SLOW
            if self.zmq.error() == EHOSTUNREACH:
                return SENT_GONE
            if self.zmq.error() != EINTR:
                self.fail(b"sending to")
        if self.zmq.msg_init_size(&message, size) < 0:
            self.no_memory()
        memcpy(self.zmq.msg_data(&message), payload, size)
        while self.zmq.msg_send(&message, socket, ZMQ_DONTWAIT) < 0:
            if self.zmq.error() != EINTR:
                self.fail(b"sending to")
        return SENT_TAKEN

    # ------------------------------------------------------------------------------------------------ what goes wrong

    cdef int fail(self, const char* doing) except -1 with gil:
        raise OSError(self.zmq.error(), f"{(<bytes>doing).decode()} a client: {self.zmq.error_text(self.zmq.error()).decode()}")

    cdef int no_memory(self) except -1 with gil:
        raise MemoryError("the system gives no memory for a batch")


cdef inline int64_t orders_of(const wire_command_header* header) noexcept nogil:
    """The work in a command: one, or one for each order of a list."""
    cdef int64_t orders
    if header.type != COMMAND_PLACE_ORDERS:
        return 1
    orders = (<const wire_place_orders_head*>header).order_count
    return orders if orders else 1
