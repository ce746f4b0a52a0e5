/* A minimal client of the exchange in C, written from docs/reference/protocol.md alone.
 *
 *     make && ./client tcp://127.0.0.1:5555 tcp://127.0.0.1:5556 7
 *
 * The session: hello, login, commands, positions, replay after a reconnect.  The book: snapshot and deltas.  `main` is
 * a fixed conversation that prints what it sees; a test compares it with what the Python client sees.
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <msgpack.h>
#include <zmq.h>

enum { CONTROL = 0, POSITION = 127, ACCEPTED = 128 };
enum { DEPOSIT = 2, PLACE_ORDER = 7, CANCEL_ORDER = 8 };
enum { MAX_LEVELS = 64, TIMEOUT_MS = 5000 };

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

/* ------------------------------------------------------------------------------------------------- the session */

typedef struct {                /* what the request that is waited for came to */
    uint64_t request_id;
    bool is_here;
    uint64_t type, order_id;    /* of its result event: accepted or rejected */
    msgpack_unpacked body;      /* of a question */
} reply_t;

typedef struct {
    void *context, *socket;
    const char *endpoint;
    uint64_t account, key;
    uint64_t request_id;        /* the last one; never used twice under one key */
    uint64_t number, epoch;     /* of the last event seen */
    bool has_number;
    reply_t reply;
} session_t;

static msgpack_object *field(msgpack_object *map, const char *name) {
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        msgpack_object *key = &map->via.map.ptr[i].key;
        if (key->via.str.size == strlen(name) && !memcmp(key->via.str.ptr, name, key->via.str.size))
            return &map->via.map.ptr[i].val;
    }
    return NULL;
}

static uint64_t number_of(msgpack_object *map, const char *name) {
    msgpack_object *value = field(map, name);
    if (value == NULL || value->type != MSGPACK_OBJECT_POSITIVE_INTEGER) fail(name);
    return value->via.u64;
}

static void print_value(const msgpack_object *value) {
    if (value->type == MSGPACK_OBJECT_POSITIVE_INTEGER) printf("%" PRIu64, value->via.u64);
    else if (value->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) printf("%" PRId64, value->via.i64);
    else msgpack_object_print(stdout, *value);
}

static void receive_control(session_t *session, msgpack_unpacked *message) {
    msgpack_object *array = message->data.via.array.ptr;
    uint64_t request_id = array[1].via.u64;
    msgpack_object *body = &array[2], *error = field(body, "error");
    if (error != NULL) {
        msgpack_object_print(stderr, *body);
        fail("");
    }
    if (request_id != 0 && request_id == session->reply.request_id) { /* 0: a heartbeat, which wants no answer */
        session->reply.is_here = true;
        msgpack_unpacked_destroy(&session->reply.body);
        session->reply.body = *message; /* it keeps its memory */
        msgpack_unpacked_init(message);
    }
}

/* [type, request_id, account, sequence, field...] with its number in the stream of its account */
static void receive_event(session_t *session, const msgpack_object_array *event, uint64_t number) {
    uint64_t type = event->ptr[0].via.u64, request_id = event->ptr[1].via.u64;
    if (request_id != 0 && request_id == session->reply.request_id && !session->reply.is_here) {
        session->reply.is_here = true; /* the result is the first event of a reply, the others follow in this message */
        session->reply.type = type;
        session->reply.order_id = type == ACCEPTED ? event->ptr[6].via.u64 : 0;
    }
    if (event->ptr[2].via.u64 != session->account || number != session->number + 1) return; /* it was there already */
    session->number = number;
    printf("event %" PRIu64 " [%" PRIu64, number, type);
    for (uint32_t i = 2; i < event->size; i++) {
        putchar(',');
        print_value(&event->ptr[i]);
    }
    puts("]");
}

/* One message: a control message, or any number of events with their positions. */
static void receive(session_t *session) {
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, session->socket, 0) < 0) fail("no answer: is the node there?");
    msgpack_unpacked message;
    msgpack_unpacked_init(&message);
    size_t offset = 0;
    uint64_t next = 0; /* number of our next event in this message; this session has one account */
    while (offset < zmq_msg_size(&frame)) {
        if (msgpack_unpack_next(&message, zmq_msg_data(&frame), zmq_msg_size(&frame), &offset) < MSGPACK_UNPACK_SUCCESS)
            fail("not msgpack");
        const msgpack_object_array *array = &message.data.via.array;
        uint64_t type = array->ptr[0].via.u64;
        if (type == CONTROL) receive_control(session, &message);
        else if (type == POSITION) next = array->ptr[2].via.u64;
        else receive_event(session, array, next++);
    }
    msgpack_unpacked_destroy(&message);
    zmq_msg_close(&frame);
}

static void await_reply(session_t *session) {
    while (!session->reply.is_here) receive(session);
}

/* Begins a message; what is packed until `finish` is its rest. */
static void begin(session_t *session, msgpack_packer *packer, uint32_t size, uint64_t type) {
    session->reply.request_id = ++session->request_id;
    session->reply.is_here = false;
    msgpack_pack_array(packer, size);
    msgpack_pack_uint64(packer, type);
    msgpack_pack_uint64(packer, session->request_id);
}

static void finish(session_t *session, msgpack_sbuffer *buffer) {
    if (zmq_send(session->socket, buffer->data, buffer->size, 0) < 0) fail("cannot send");
    msgpack_sbuffer_clear(buffer);
}

static void pack_text(msgpack_packer *packer, const char *text) {
    msgpack_pack_str(packer, strlen(text));
    msgpack_pack_str_body(packer, text, strlen(text));
}

static void pack_pair(msgpack_packer *packer, const char *name, uint64_t value) {
    pack_text(packer, name);
    msgpack_pack_uint64(packer, value);
}

/* A command [type, request_id, account, field...] into a message that may hold others. */
static void pack_command(session_t *session, msgpack_packer *packer, uint64_t type, int count, const int64_t *fields) {
    begin(session, packer, 3 + count, type);
    msgpack_pack_uint64(packer, session->account);
    for (int i = 0; i < count; i++) msgpack_pack_int64(packer, fields[i]);
}

/* A limit order to buy of symbol 1, good till cancelled: symbol, side, type, time in force, self-trade, flags, ... */
static void pack_bid(session_t *session, msgpack_packer *packer, int64_t price_ticks, int64_t lots, int64_t client_id) {
    const int64_t fields[] = {1, 0, 0, 0, 0, 0, price_ticks, lots, client_id};
    pack_command(session, packer, PLACE_ORDER, 9, fields);
}

static void connect_session(session_t *session, msgpack_packer *packer, msgpack_sbuffer *buffer) {
    int linger_ms = 1000, timeout_ms = TIMEOUT_MS;
    session->socket = zmq_socket(session->context, ZMQ_DEALER);
    zmq_setsockopt(session->socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    zmq_setsockopt(session->socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    if (zmq_connect(session->socket, session->endpoint) < 0) fail("cannot connect");

    begin(session, packer, 4, CONTROL);
    pack_text(packer, "hello");
    msgpack_pack_map(packer, 3);
    pack_text(packer, "versions");
    msgpack_pack_array(packer, 1);
    msgpack_pack_uint64(packer, 1);
    pack_text(packer, "client");
    pack_text(packer, "c-example/1.0");
    pack_pair(packer, "heartbeat_ms", 0);
    finish(session, buffer);
    await_reply(session);
    printf("hello version %" PRIu64 "\n", number_of(&session->reply.body.data.via.array.ptr[2], "version"));

    begin(session, packer, 4, CONTROL);
    pack_text(packer, "login");
    msgpack_pack_map(packer, session->has_number ? 4 : 2);
    pack_pair(packer, "account", session->account);
    pack_pair(packer, "client", session->key);
    if (session->has_number) {
        pack_pair(packer, "after", session->number);
        pack_pair(packer, "epoch", session->epoch);
    }
    finish(session, buffer);
    await_reply(session);
    msgpack_object *answer = &session->reply.body.data.via.array.ptr[2];
    uint64_t last = number_of(answer, "number");
    if (field(answer, "missed")->via.boolean) fail("missed: ask for account, positions and orders");
    if (!session->has_number) session->number = last;
    session->has_number = true;
    session->epoch = number_of(answer, "epoch");
    printf("login number %" PRIu64 "\n", last);
}

static void catch_up(session_t *session, uint64_t number) {
    while (session->number < number) receive(session);
}

/* ---------------------------------------------------------------------------------------------------- the book */

typedef struct {
    int64_t price_ticks;
    uint64_t lots, orders;
} level_t;

typedef struct {
    void *socket;
    const char *topic;
    uint64_t symbol, epoch, sequence;
    bool has_joined;
    level_t sides[2][MAX_LEVELS]; /* bids, asks: best price first */
    int counts[2];
} book_t;

static void set_level(book_t *book, int side, level_t level) {
    level_t *levels = book->sides[side];
    int *count = &book->counts[side], at = 0, sign = side ? 1 : -1;
    while (at < *count && sign * levels[at].price_ticks < sign * level.price_ticks) at++;
    bool is_there = at < *count && levels[at].price_ticks == level.price_ticks;
    if (level.lots && !is_there) {
        if (*count == MAX_LEVELS) fail("the book is deeper than this example keeps");
        memmove(&levels[at + 1], &levels[at], (*count - at) * sizeof(level_t));
        ++*count;
    }
    if (level.lots) levels[at] = level;
    else if (is_there) memmove(&levels[at], &levels[at + 1], (--*count - at) * sizeof(level_t));
}

static void apply(book_t *book, msgpack_object *map) {
    static const char *const names[] = {"bids", "asks"};
    for (int side = 0; side < 2; side++) {
        msgpack_object_array *levels = &field(map, names[side])->via.array;
        for (uint32_t i = 0; i < levels->size; i++) {
            msgpack_object *level = levels->ptr[i].via.array.ptr; /* [price_ticks, qty_lots, order_count] */
            set_level(book, side, (level_t){level[0].via.i64, level[1].via.u64, level[2].via.u64});
        }
    }
    book->epoch = number_of(map, "epoch");
    book->sequence = number_of(map, "sequence");
}

static void take_snapshot(book_t *book, session_t *session, msgpack_packer *packer, msgpack_sbuffer *buffer) {
    begin(session, packer, 4, CONTROL);
    pack_text(packer, "get_book");
    msgpack_pack_map(packer, 2);
    pack_pair(packer, "symbol", book->symbol);
    pack_pair(packer, "depth", 0);
    finish(session, buffer);
    await_reply(session);
    book->counts[0] = book->counts[1] = 0;
    apply(book, &session->reply.body.data.via.array.ptr[2]);
    book->has_joined = true;
}

/* Takes the next delta: one that does not follow makes it ask for a snapshot. */
static void follow(book_t *book, session_t *session, msgpack_packer *packer, msgpack_sbuffer *buffer) {
    char topic[64], payload[1 << 16];
    int topic_size, size;
    do { /* ZeroMQ filters by prefix, so another topic may come through */
        topic_size = zmq_recv(book->socket, topic, sizeof topic, 0);
        size = zmq_recv(book->socket, payload, sizeof payload, 0);
        if (topic_size < 0 || size < 0 || size > (int)sizeof payload) fail("no market data");
    } while (topic_size != (int)strlen(book->topic) || memcmp(topic, book->topic, topic_size));
    if (!book->has_joined) take_snapshot(book, session, packer, buffer); /* the subscription is at work */
    msgpack_unpacked message;
    msgpack_unpacked_init(&message);
    if (msgpack_unpack_next(&message, payload, size, NULL) < MSGPACK_UNPACK_SUCCESS) fail("not msgpack");
    msgpack_object *delta = &message.data;
    bool same_run = number_of(delta, "epoch") == book->epoch;
    uint64_t sequence = number_of(delta, "sequence");
    if (same_run && sequence == book->sequence + 1) apply(book, delta);
    else if (!same_run || sequence > book->sequence) take_snapshot(book, session, packer, buffer); /* a gap */
    msgpack_unpacked_destroy(&message);
}

static void print_book(const char *what, const book_t *book) {
    static const char *const names[] = {" bids ", " asks "};
    printf("%s", what);
    for (int side = 0; side < 2; side++) {
        printf("%s", names[side]);
        for (int i = 0; i < book->counts[side]; i++) {
            const level_t *level = &book->sides[side][i];
            printf("%s%" PRId64 ":%" PRIu64 ":%" PRIu64, i ? " " : "", level->price_ticks, level->lots, level->orders);
        }
    }
    puts("");
}

/* ------------------------------------------------------------------------------------------------ conversation */

int main(int count, char **arguments) {
    if (count < 4) fail("usage: client ORDERS_ENDPOINT MARKET_DATA_ENDPOINT ACCOUNT [KEY]");
    setvbuf(stdout, NULL, _IOLBF, 0);
    session_t session = {.context = zmq_ctx_new(), .endpoint = arguments[1]};
    session.account = strtoull(arguments[3], NULL, 10);
    session.key = count > 4 ? strtoull(arguments[4], NULL, 10) : (uint64_t)time(NULL);
    msgpack_unpacked_init(&session.reply.body);
    msgpack_sbuffer buffer;
    msgpack_sbuffer_init(&buffer);
    msgpack_packer packer;
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    connect_session(&session, &packer, &buffer);

    int timeout_ms = TIMEOUT_MS;
    book_t book = {.topic = "book.BTC-PERP", .symbol = 1};
    book.socket = zmq_socket(session.context, ZMQ_SUB);
    zmq_setsockopt(book.socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    zmq_setsockopt(book.socket, ZMQ_SUBSCRIBE, book.topic, strlen(book.topic));
    if (zmq_connect(book.socket, arguments[2]) < 0) fail("cannot connect");
    follow(&book, &session, &packer, &buffer);
    print_book("joined", &book);

    pack_command(&session, &packer, DEPOSIT, 1, (const int64_t[]){1000000000000}); /* 10,000 in atoms */
    finish(&session, &buffer);
    await_reply(&session);
    pack_bid(&session, &packer, 599900, 5, 11);
    finish(&session, &buffer);
    await_reply(&session);
    if (session.reply.type != ACCEPTED) fail("the bid was refused");
    int64_t order_id = session.reply.order_id;
    pack_bid(&session, &packer, 599900, 5, 11); /* the same client order id: nothing happens twice */
    finish(&session, &buffer);
    await_reply(&session);
    pack_bid(&session, &packer, 599800, 3, 12); /* two commands in one message; the second is rejected */
    pack_bid(&session, &packer, -1, 3, 13);
    finish(&session, &buffer);
    await_reply(&session);

    /* The connection breaks while a command is under way; its request id stays the one that is waited for. */
    pack_command(&session, &packer, CANCEL_ORDER, 1, &order_id);
    finish(&session, &buffer);
    uint64_t cancel = session.request_id, before = session.number;
    zmq_close(session.socket);
    connect_session(&session, &packer, &buffer);
    session.reply.request_id = cancel;
    session.reply.is_here = false;
    catch_up(&session, before + 2); /* the replay: accepted, order_cancelled */
    printf("the cancel was %s\n", session.reply.is_here && session.reply.type == ACCEPTED ? "done" : "refused");
    while (book.counts[0] != 1 || book.sides[0][0].price_ticks != 599800) follow(&book, &session, &packer, &buffer);
    print_book("book", &book);

    begin(&session, &packer, 4, CONTROL);
    pack_text(&packer, "logout");
    msgpack_pack_map(&packer, 0);
    finish(&session, &buffer);
    await_reply(&session);
    puts("goodbye");
    msgpack_unpacked_destroy(&session.reply.body);
    msgpack_sbuffer_destroy(&buffer);
    zmq_close(book.socket);
    zmq_close(session.socket);
    zmq_ctx_term(session.context);
    return 0;
}
