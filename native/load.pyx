"""Sends orders to a node at times that were fixed before, and measures from them: a load generator in one thread.

Theory of operation.  Every client is a DEALER socket with a *tape*: messages made beforehand, played in a circle, in which
only request ids (and ids made from them) are written before sending.  In an *open* loop message j is due at
``start + j * interval``, whatever the answers do, and its latency counts from then: a node that stops for a second is
charged with all that would have been sent in it, and a generator that is late charges itself.  In a *closed* loop each
client has a number of commands under way and sends as answers come; its latency counts from the sending.

Results must come once for each request and in their order, per client; native/load_answers.pxd counts what does not.

A socket is read until it has nothing more, and then again when its descriptor says so, or when something was sent by it:
that is what libzmq's descriptors promise.  Where there is nothing to do the thread sleeps until something comes or is due;
before a wait that is too short for that it yields its core to libzmq's own thread, which may be pinned to the same one.
"""

from libc.stdint cimport INT64_MAX, UINT64_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc

from native.histogram cimport Histogram, histogram_add, histogram_clear, histogram_pairs
from native.load_answers cimport (
    CONTROL, MAX_REASONS, POSITION, Answers, Event, Expected, is_next_result, read_array, read_control,
    read_event, read_position, read_unsigned,
)
from native.wire cimport EVENT_ACCEPTED, FIRST_EVENT
from native.zmq_api cimport (
    EAGAIN, ZMQ_DONTWAIT, ZmqApi, zmq_api_bytes, zmq_api_load, zmq_api_socket, zmq_msg_t,
)

cdef extern from * nogil:
    """
    #include <poll.h>
    #include <sched.h>
    #include <time.h>
    #ifdef __linux__
    #include <sys/prctl.h>
    static void wake_exactly(void) { prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0); }
    static int poll_for(struct pollfd* polled, unsigned long count, long long timeout_ns) {
        struct timespec timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};
        return ppoll(polled, count, &timeout, NULL);
    }
    #else
    static void wake_exactly(void) {}
    static int poll_for(struct pollfd* polled, unsigned long count, long long timeout_ns) {
        return poll(polled, count, timeout_ns / 1000000);
    }
    #endif
    static long long now_ns(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000000000LL + t.tv_nsec;
    }
    """
    struct pollfd:
        int fd
        short events
        short revents
    int POLLIN
    void wake_exactly()
    int poll_for(pollfd* polled, unsigned long count, int64_t timeout_ns)
    int sched_yield()
    int64_t now_ns()

cdef enum:
    BURST = 64           # messages sent, or read from one client, before the other is looked at
    TURNS = 1024         # between two looks at Python's signals
    MAX_WINDOW = 1 << 20  # messages of a client under way in a closed loop
    WAIT_NS = 20_000_000
    MILLISECOND_NS = 1_000_000
    SECOND_NS = 1_000_000_000

cdef struct Patch:       # 4 bytes of a message that hold a number made of the request id
    uint32_t at
    int32_t add          # to the request id of the message's first command

cdef struct Message:
    uint32_t start       # in the bytes of the tape
    uint32_t size
    uint32_t first_patch
    uint32_t patch_count

cdef struct Client:
    void* socket
    bint unread          # it may have something to read
    uint8_t* bytes       # the tape
    Message* messages
    Patch* patches
    uint64_t message_count
    uint64_t next_id     # of the next command to send
    Expected expected
    uint64_t sent        # messages of this run
    uint64_t answered    # messages of this run whose last result came
    uint64_t left        # commands of the message that is being answered
    int64_t* sent_ns     # of messages under way, in a closed loop: a ring of its window

cdef struct Run:
    int64_t per_second   # commands of an open loop; 0: a closed one
    uint64_t messages    # to send
    int64_t end_ns       # of sending, in a closed loop
    uint64_t batch       # commands in a message
    uint64_t window      # messages of a client under way, in a closed loop
    uint64_t warmup      # messages whose latency is not counted
    int64_t nap_ns       # shorter waits are not slept, its core is yielded instead
    int64_t patience_ns
    int64_t start_ns
    uint64_t sent
    uint64_t answered    # commands
    int64_t last_ns      # when something came
    int64_t warm_ns      # when the warm-up was answered,
    uint64_t warm        # and how many commands were then
    int64_t stop_ns      # when the last message was sent,
    uint64_t at_stop     # and how many commands were answered then

cdef ZmqApi zmq


cdef inline bint put_numbers(const Message* message, const Patch* patches, uint32_t first_id, uint8_t* to) noexcept nogil:
    """Writes the numbers that differ from one playing of the tape to the next."""
    cdef uint32_t i, number
    cdef uint8_t* at
    for i in range(message.first_patch, message.first_patch + message.patch_count):
        number = first_id + <uint32_t>patches[i].add
        at = to + patches[i].at
        at[0] = <uint8_t>(number >> 24)
        at[1] = <uint8_t>(number >> 16)
        at[2] = <uint8_t>(number >> 8)
        at[3] = <uint8_t>number
    return True


cdef class Load:
    """Clients with their tapes.

    ``sockets`` are connected DEALERs that nobody else reads; each of ``tapes`` is a list of (message, [(at, add), ...]):
    in the message the 4 bytes at ``at`` become ``add`` plus the request id of its first command.  Every message of a tape has
    ``batch`` commands.  Request ids begin at ``first_id``.
    """

    cdef list sockets
    cdef int count
    cdef Client* clients
    cdef pollfd* polled
    cdef Run run_
    cdef Answers* answers
    cdef Histogram latencies
    cdef Histogram lateness      # of the sending, against the time that was fixed
    cdef bint keeps
    cdef uint8_t* kept           # events as they came
    cdef size_t kept_size
    cdef size_t kept_room

    def __cinit__(self, list sockets not None, list tapes not None, uint32_t first_id, uint64_t batch):
        self.count = len(sockets)
        if self.count == 0 or len(tapes) != self.count or batch == 0:
            raise ValueError(f"wanted a tape for each of {self.count} sockets, and a batch")
        self.sockets = sockets
        self.run_.batch = batch
        self.clients = <Client*>PyMem_RawCalloc(self.count, sizeof(Client))
        self.polled = <pollfd*>PyMem_RawCalloc(self.count, sizeof(pollfd))
        self.answers = <Answers*>PyMem_RawCalloc(1, sizeof(Answers))
        if self.clients == NULL or self.polled == NULL or self.answers == NULL:
            raise MemoryError
        for index in range(self.count):
            self.clients[index].socket = zmq_api_socket(sockets[index])
            self.clients[index].next_id = self.clients[index].expected.request_id = first_id
            self.polled[index].fd = sockets[index].FD
            self.polled[index].events = POLLIN
            self.load_tape(&self.clients[index], tapes[index])

    def __dealloc__(self):
        cdef int index
        for index in range(self.count if self.clients != NULL else 0):
            PyMem_RawFree(self.clients[index].bytes)
            PyMem_RawFree(self.clients[index].messages)
            PyMem_RawFree(self.clients[index].patches)
            PyMem_RawFree(self.clients[index].sent_ns)
        PyMem_RawFree(self.clients)
        PyMem_RawFree(self.polled)
        PyMem_RawFree(self.answers)
        PyMem_RawFree(self.kept)

    cdef int load_tape(self, Client* client, list tape) except -1:
        cdef uint32_t start = 0, patched = 0
        cdef Message* message
        client.message_count = len(tape)
        client.bytes = <uint8_t*>PyMem_RawMalloc(max(1, sum([len(data) for data, _ in tape])))
        client.messages = <Message*>PyMem_RawCalloc(len(tape) + 1, sizeof(Message))
        client.patches = <Patch*>PyMem_RawCalloc(sum([len(patches) for _, patches in tape]) + 1, sizeof(Patch))
        if client.bytes == NULL or client.messages == NULL or client.patches == NULL:
            raise MemoryError
        if client.message_count == 0:
            raise ValueError("a tape holds at least one message")
        for index, (data, patches) in enumerate(tape):
            message = &client.messages[<Py_ssize_t>index]
            message.start, message.size = start, len(data)
            message.first_patch, message.patch_count = patched, len(patches)
            memcpy(client.bytes + start, <const uint8_t*>(<bytes>data), len(data))
            for at, add in patches:
                if not 0 <= at <= len(data) - 4:
                    raise ValueError(f"a message of {len(data)} bytes has no 4 bytes at {at}")
                client.patches[patched].at, client.patches[patched].add = at, add
                patched += 1
            start += len(data)
        return 0

    cdef int make_ring(self, Client* client) except -1:
        cdef void* moved = PyMem_RawRealloc(client.sent_ns, self.run_.window * sizeof(int64_t))
        if moved == NULL:
            raise MemoryError
        client.sent_ns = <int64_t*>moved
        return 0

    # ---- sending

    cdef int send(self, int index, int64_t now) noexcept nogil:
        """Sends a client's next message: 1, or 0 where its queue is full, or -1."""
        cdef Client* client = &self.clients[index]
        cdef const Message* message = &client.messages[client.sent % client.message_count]
        cdef zmq_msg_t outgoing
        cdef uint8_t* data
        if zmq.msg_init_size(&outgoing, message.size) < 0:
            return -1
        data = <uint8_t*>zmq.msg_data(&outgoing)
        memcpy(data, client.bytes + message.start, message.size)
        put_numbers(message, client.patches, <uint32_t>client.next_id, data)
        if zmq.msg_send(&outgoing, client.socket, ZMQ_DONTWAIT) < 0:
            zmq.msg_close(&outgoing)
            return 0 if zmq.error() == EAGAIN else -1
        if self.run_.per_second == 0:
            client.sent_ns[client.sent % self.run_.window] = now
        client.next_id += self.run_.batch
        client.sent += 1
        client.unread = True
        self.run_.sent += 1
        return 1

    cdef inline int64_t due_ns(self, uint64_t number) noexcept nogil:
        return self.run_.start_ns + <int64_t>(number * self.run_.batch * SECOND_NS // self.run_.per_second)

    cdef int send_due(self, int64_t now) noexcept nogil:
        """Open loop: sends what is due; the number of messages sent, or -1."""
        cdef Run* run = &self.run_
        cdef int sent, outcome
        cdef int64_t due
        for sent in range(BURST):
            due = self.due_ns(run.sent)
            if run.sent >= run.messages or due > now:
                return sent
            outcome = self.send(run.sent % self.count, now)
            if outcome <= 0:
                return sent if outcome == 0 else -1
            now = now_ns()
            if run.sent > run.warmup:
                histogram_add(&self.lateness, now - due)
        return BURST

    cdef int refill(self, int index, int64_t now) noexcept nogil:
        """Closed loop: sends until a client has its window under way; the number of messages, or -1."""
        cdef Client* client = &self.clients[index]
        cdef int sent = 0, outcome
        while (
            client.sent - client.answered < self.run_.window and self.run_.sent < self.run_.messages
            and now < self.run_.end_ns
        ):
            outcome = self.send(index, now)
            if outcome <= 0:
                return sent if outcome == 0 else -1
            sent += 1
            now = now_ns()
        return sent

    # ---- reading

    cdef int read(self, int index) noexcept nogil:
        """Reads what a client has, up to a bound; the number of messages, or -1."""
        cdef Client* client = &self.clients[index]
        cdef zmq_msg_t message
        cdef const uint8_t* start
        cdef int count
        for count in range(BURST):
            zmq.msg_init(&message)
            if zmq.msg_receive(&message, client.socket, ZMQ_DONTWAIT) < 0:
                client.unread = False
                return count if zmq.error() == EAGAIN else -1
            start = zmq_api_bytes(&zmq, &message)
            self.answers.reply_bytes += zmq.msg_size(&message)
            self.read_reply(client, start, start + zmq.msg_size(&message), now_ns())
            zmq.msg_close(&message)
        return BURST

    cdef void read_reply(self, Client* client, const uint8_t* at, const uint8_t* end, int64_t now) noexcept nogil:
        cdef Event event
        cdef uint64_t length = 0
        cdef const uint8_t* start
        while at != NULL and at < end:
            start = at
            at = read_unsigned(read_array(at, end, &length), end, &event.type)
            if at == NULL:
                break
            if event.type == CONTROL:
                read_control(start, end, self.answers)
                return
            if event.type == POSITION:
                at = read_position(at, end, self.answers)
                continue
            at = read_unsigned(at, end, &event.request_id)
            if at == NULL or event.type < FIRST_EVENT:
                break
            at = read_event(at, end, length, &event, self.answers)
            if at != NULL and is_next_result(&event, &client.expected, self.answers):
                self.count_result(client, event.type == EVENT_ACCEPTED, now)
            if self.keeps and at != NULL:
                self.keep(start, at - start)
        if at == NULL or at < end:
            self.answers.unreadable += 1

    cdef inline void count_result(self, Client* client, bint accepted, int64_t now) noexcept nogil:
        cdef Run* run = &self.run_
        cdef int64_t from_ns
        if accepted:
            self.answers.accepted += 1
        else:
            self.answers.rejected += 1
        run.answered += 1
        run.last_ns = now
        if run.answered > run.warmup * run.batch:
            if run.warm_ns == 0:
                run.warm_ns, run.warm = now, run.answered
            if run.per_second > 0:
                from_ns = self.due_ns(client.answered * self.count + (client - self.clients))
            else:
                from_ns = client.sent_ns[client.answered % run.window]
            histogram_add(&self.latencies, now - from_ns)
        client.left -= 1
        if client.left == 0:
            client.left = run.batch
            client.answered += 1

    cdef void keep(self, const uint8_t* start, size_t size) noexcept nogil:
        cdef size_t room = max(<size_t>(1 << 20), 2 * self.kept_room)
        cdef void* moved
        if self.kept_size + size > self.kept_room:
            moved = PyMem_RawRealloc(self.kept, room)
            if moved == NULL:
                self.keeps = False
                return
            self.kept, self.kept_room = <uint8_t*>moved, room
        memcpy(self.kept + self.kept_size, start, size)
        self.kept_size += size

    # ---- the loop

    cdef int turn(self) noexcept nogil:
        """Sends what is to be sent and reads what came; what was done, or -1."""
        cdef Run* run = &self.run_
        cdef int index, outcome, done = 0
        if run.per_second > 0:
            outcome = self.send_due(now_ns())
            if outcome < 0:
                return -1
            done = outcome
        for index in range(self.count):
            if not self.clients[index].unread:
                continue
            outcome = self.read(index)
            if outcome < 0:
                return -1
            done += outcome
            if run.per_second == 0 and outcome > 0:
                if self.refill(index, now_ns()) < 0:
                    return -1
        return done

    cdef int look(self, int64_t timeout_ns) noexcept nogil:
        """Marks the clients whose descriptors say that something came."""
        cdef int index
        cdef int ready = poll_for(self.polled, self.count, timeout_ns)
        for index in range(self.count):
            if self.polled[index].revents:
                self.clients[index].unread = True
        return ready

    cdef int rest(self, int64_t now) noexcept nogil:
        """Nothing is to be done: lets others work until something comes, or the next message is due."""
        cdef int64_t nap_ns = WAIT_NS
        if self.run_.per_second > 0 and self.is_sending(now):
            nap_ns = self.due_ns(self.run_.sent) - now
        if nap_ns < self.run_.nap_ns:
            nap_ns = 0
            sched_yield()
        return self.look(nap_ns)

    cdef bint is_sending(self, int64_t now) noexcept nogil:
        return self.run_.sent < self.run_.messages and now < self.run_.end_ns

    cdef int turns(self) noexcept nogil:
        """Goes on for a while: 1 where there is more to do, 0 at the end, -1 for an error, -2 where nothing comes any more."""
        cdef Run* run = &self.run_
        cdef int _turn, done
        cdef int64_t now
        for _turn in range(TURNS):
            done = self.turn()
            if done < 0:
                return -1
            now = now_ns()
            if not self.is_sending(now):
                if run.stop_ns == 0:
                    run.stop_ns, run.at_stop = now, run.answered
                if run.answered >= run.sent * run.batch:
                    return 0
            if run.answered < run.sent * run.batch and now - run.last_ns > run.patience_ns:
                return -2
            if done == 0:
                self.rest(now)
        return 1

    def run(
        self, *, int64_t per_second=0, uint64_t messages=0, int64_t milliseconds=0, uint64_t in_flight=0,
        uint64_t warmup=0, int64_t shortest_nap_ns=1000, int64_t patience_ms=10_000, bint keep=False,
    ):
        """Plays the tapes and returns what came of it, as a dict; a second run goes on with the next request ids.

        An open loop has commands ``per_second`` and ``messages``, of all clients together; a closed one commands
        ``in_flight``, and ends after ``milliseconds`` or ``messages``, whichever is first.  The first ``warmup`` messages
        are not measured.  Waits below ``shortest_nap_ns`` are spent yielding the core.  It ends when every request is
        answered, or when nothing has come for ``patience_ms``.
        """
        cdef Run* run = &self.run_
        cdef int outcome = 1, index, error
        cdef uint64_t batch = run.batch
        if per_second <= 0 and in_flight < batch * self.count:
            raise ValueError(f"wanted at least {batch * self.count} commands in flight, one message for each client")
        memset(run, 0, sizeof(Run))
        run.batch = batch
        run.per_second = max(per_second, 0)
        run.window = max(1, min(in_flight // batch // self.count, <uint64_t>MAX_WINDOW))
        run.messages = messages if messages else UINT64_MAX
        run.warmup, run.nap_ns, run.patience_ns = warmup, shortest_nap_ns, patience_ms * MILLISECOND_NS
        self.keeps, self.kept_size = keep, 0
        histogram_clear(&self.latencies)
        histogram_clear(&self.lateness)
        self.clear_answers()
        for index in range(self.count):
            self.clients[index].sent = self.clients[index].answered = 0
            self.clients[index].left = batch
            self.clients[index].unread = True
            self.make_ring(&self.clients[index])
        wake_exactly()
        run.start_ns = run.last_ns = now_ns()
        run.end_ns = run.start_ns + milliseconds * MILLISECOND_NS if milliseconds > 0 else INT64_MAX
        if run.per_second == 0:
            for index in range(self.count):
                if self.refill(index, now_ns()) < 0:
                    outcome = -1
        while outcome > 0:
            with nogil:
                outcome = self.turns()
                error = zmq.error()
            if outcome == -1:
                raise OSError(error, zmq.error_text(error).decode())
            PyErr_CheckSignals()
        return self.summary()

    def kept_events(self):
        """The events of the last run as they came, if it was to keep them."""
        return PyBytes_FromStringAndSize(<const char*>self.kept, self.kept_size)

    cdef int clear_answers(self) except -1:
        """Counts anew; what is known of private positions stays."""
        cdef Answers* answers = self.answers
        memset(answers, 0, <size_t>(<char*>&answers.next_number - <char*>answers))
        return 0

    cdef dict summary(self):
        cdef Run* run = &self.run_
        cdef Answers* a = self.answers
        return {
            "sent": run.sent * run.batch,
            "answered": run.answered,
            "lost": run.sent * run.batch - run.answered,
            # From the start to the last answer; and from the end of the warm-up to the end of sending, with what was
            # answered then.
            "elapsed_ns": run.last_ns - run.start_ns,
            "measured_ns": run.stop_ns - run.warm_ns if run.warm_ns else 0,
            "measured": run.at_stop - run.warm if run.warm_ns else 0,
            "latencies_ns": histogram_pairs(&self.latencies),
            "lateness_ns": histogram_pairs(&self.lateness),
            "accepted": a.accepted, "rejected": a.rejected, "doubled": a.doubled, "passed_over": a.passed_over,
            "disordered": a.disordered, "refused": a.refused, "unreadable": a.unreadable, "events": a.events,
            "notices": a.notices, "fills": a.fills, "taken_lots": a.taken_lots, "made_lots": a.made_lots,
            "bought_lots": a.bought_lots, "sold_lots": a.sold_lots, "positions": a.positions,
            "position_gaps": a.position_gaps, "reply_bytes": a.reply_bytes,
            "reasons": {reason: a.reasons[reason] for reason in range(MAX_REASONS) if a.reasons[reason]},
            "control": PyBytes_FromStringAndSize(<const char*>a.control, a.control_size),
        }


zmq_api_load(&zmq)
