"""Who gets what: the clients that the lane knows, by routing id and by account, and the letters written to them.

Theory of operation.  The truth about sessions is Python's (exchange/gateway/connection.py); this is a mirror of those
that the lane can serve, changed only when Python says so.  A client is found by its routing id in a table with open
addressing, seeded, so that nobody can choose ids that collide; the clients logged in for an account are found in an
array by account, of which only the pages that are used are paid for.  What one round brings a client is written behind
one another into its *letter*.  A client that is removed while a letter to it still waits lives on until that has left.
"""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawRealloc
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from native.buffer cimport buffer_free, buffer_t
from native.memory cimport memory_release, memory_reserve
from native.wire cimport MAX_ACCOUNT

cdef enum:
    MAX_ID_BYTES = 255                 # of a routing id in ZeroMQ

cdef struct client_t:
    uint64_t hash
    bint may_command                   # its commands can be taken here, for the accounts that it may send for
    bint is_lost                       # read too slowly: it hears no events
    bint by_courier                    # it is owed a replay: letters to it are Python's to bring
    bint is_removed
    bint is_handed_up                  # a frame of it waits for Python, so what follows it goes there too
    bint is_touched                    # this round brings it something
    uint32_t letters_held              # that wait to leave
    uint64_t key                       # by which its replies are known later
    int64_t heard_ns                   # when the last frame came,
    int64_t sent_ns                    # and the last letter left
    int64_t muted_until_ns             # its frames are dropped unread
    int64_t orders_up_to_ns            # what it used of its limits, as in exchange/gateway/limits.py
    int64_t frames_up_to_ns
    uint64_t in_flight                 # commands taken here whose replies have not left,
    uint64_t in_flight_up              # and those that Python took
    uint64_t in_batch                  # of those here, the ones of this batch
    buffer_t letter
    uint32_t* accounts                 # that it is logged in for
    uint32_t account_count
    uint32_t account_room
    client_t* next_removed
    uint8_t id_bytes
    uint8_t id[MAX_ID_BYTES]

cdef struct listener_t:
    client_t* client
    uint64_t batch                     # the last one that brought it an event of this account
    bint may_send                      # commands of the account

cdef struct listeners_t:               # of one account
    listener_t* items
    uint32_t count
    uint32_t room

cdef struct mail_t:
    client_t** buckets
    uint64_t mask
    uint64_t count
    uint64_t seed
    listeners_t* by_account
    client_t** touched
    uint32_t touched_count
    uint32_t touched_room
    client_t* removed

# ------------------------------------------------------------------------------------------------ growing arrays

cdef inline void* grown(void* items, uint32_t* room, uint32_t count, size_t item_bytes) noexcept nogil:
    """The array with room for one more item than ``count``; NULL where there is no memory, then it is as it was."""
    cdef uint32_t wanted = room[0]
    cdef void* moved
    if count < wanted:
        return items
    wanted = 2 * wanted if wanted else 2
    moved = PyMem_RawRealloc(items, wanted * item_bytes)
    if moved != NULL:
        room[0] = wanted
    return moved

# ------------------------------------------------------------------------------------------------ opening, closing

cdef inline bint mail_open(mail_t* mail, uint64_t max_clients, uint64_t seed) noexcept nogil:
    """Room for as many clients; False where the system does not give it."""
    cdef uint64_t buckets = 64
    while buckets < 2 * max_clients:
        buckets *= 2
    mail.mask = buckets - 1
    mail.seed = seed
    mail.buckets = <client_t**>PyMem_RawCalloc(buckets, sizeof(client_t*))
    mail.by_account = <listeners_t*>memory_reserve((MAX_ACCOUNT + 1) * sizeof(listeners_t))
    return mail.buckets != NULL and mail.by_account != NULL

cdef inline void client_free(client_t* client) noexcept nogil:
    buffer_free(&client.letter)
    PyMem_RawFree(client.accounts)
    PyMem_RawFree(client)

cdef inline void mail_close(mail_t* mail) noexcept nogil:
    cdef uint64_t i
    cdef client_t* client
    if mail.buckets != NULL:
        for i in range(mail.mask + 1):
            if mail.buckets[i] != NULL:
                forget_accounts(mail, mail.buckets[i])
                client_free(mail.buckets[i])
    while mail.removed != NULL:
        client = mail.removed
        mail.removed = client.next_removed
        client_free(client)
    PyMem_RawFree(mail.buckets)
    PyMem_RawFree(mail.touched)
    memory_release(mail.by_account, (MAX_ACCOUNT + 1) * sizeof(listeners_t))
    mail.buckets = NULL
    mail.touched = NULL
    mail.by_account = NULL

# ------------------------------------------------------------------------------------------------ by routing id

cdef inline uint64_t hash_of(const mail_t* mail, const uint8_t* id, size_t id_bytes) noexcept nogil:
    cdef uint64_t hash = mail.seed ^ id_bytes
    cdef uint64_t word
    while id_bytes >= 8:
        memcpy(&word, id, 8)
        hash = mixed(hash ^ word)
        id += 8
        id_bytes -= 8
    word = 0
    memcpy(&word, id, id_bytes)
    return mixed(hash ^ word)

cdef inline uint64_t mixed(uint64_t x) noexcept nogil:
    """Every bit of the result depends on every bit of ``x`` (the finalizer of splitmix64)."""
    x = (x ^ (x >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * <uint64_t>0x94D049BB133111EB
    return x ^ (x >> 31)

cdef inline client_t** bucket_of(mail_t* mail, uint64_t hash, const uint8_t* id, size_t id_bytes) noexcept nogil:
    """Where the client is, or the empty bucket where it would be."""
    cdef uint64_t at = hash & mail.mask
    cdef client_t* found
    while True:
        found = mail.buckets[at]
        if found == NULL or (found.hash == hash and found.id_bytes == id_bytes and memcmp(found.id, id, id_bytes) == 0):
            return &mail.buckets[at]
        at = (at + 1) & mail.mask

cdef inline client_t* client_find(mail_t* mail, const uint8_t* id, size_t id_bytes) noexcept nogil:
    """The client of a routing id; NULL where Python has told of none."""
    return bucket_of(mail, hash_of(mail, id, id_bytes), id, id_bytes)[0]

cdef inline client_t* client_add(mail_t* mail, const uint8_t* id, size_t id_bytes) noexcept nogil:
    """The client of a routing id, made if need be; NULL where there is no room."""
    cdef uint64_t hash = hash_of(mail, id, id_bytes)
    cdef client_t** bucket = bucket_of(mail, hash, id, id_bytes)
    cdef client_t* client = bucket[0]
    if client != NULL:
        return client
    if 2 * mail.count > mail.mask or id_bytes > MAX_ID_BYTES:
        return NULL
    client = <client_t*>PyMem_RawCalloc(1, sizeof(client_t))
    if client != NULL:
        client.hash = hash
        client.id_bytes = <uint8_t>id_bytes
        memcpy(client.id, id, id_bytes)
        bucket[0] = client
        mail.count += 1
    return client

cdef inline void client_remove(mail_t* mail, client_t* client) noexcept nogil:
    """Takes a client out of all tables; ``mail_reap`` frees it once nothing waits for it any more."""
    cdef client_t** bucket = bucket_of(mail, client.hash, client.id, client.id_bytes)
    cdef uint64_t hole = bucket - mail.buckets
    cdef uint64_t at = hole
    cdef client_t* next
    forget_accounts(mail, client)
    client.may_command = False
    client.is_removed = True
    client.next_removed = mail.removed
    mail.removed = client
    mail.count -= 1
    # Whoever stands behind the hole because its own bucket was taken moves up, so that no search ends too early.
    while True:
        at = (at + 1) & mail.mask
        next = mail.buckets[at]
        if next == NULL:
            break
        if ((at - next.hash) & mail.mask) >= ((at - hole) & mail.mask):
            mail.buckets[hole] = next
            hole = at
    mail.buckets[hole] = NULL

cdef inline void mail_reap(mail_t* mail) noexcept nogil:
    """Frees the removed clients to which nothing is on its way.  Between rounds: nobody holds a pointer to them then."""
    cdef client_t** at = &mail.removed
    cdef client_t* client
    while at[0] != NULL:
        client = at[0]
        if client.letters_held:
            at = &client.next_removed
        else:
            at[0] = client.next_removed
            client_free(client)

# ------------------------------------------------------------------------------------------------ by account

cdef inline listeners_t* listeners_of(mail_t* mail, uint32_t account) noexcept nogil:
    return &mail.by_account[account & MAX_ACCOUNT]

cdef inline bint may_send(mail_t* mail, const client_t* client, uint32_t account) noexcept nogil:
    cdef listeners_t* listeners
    cdef uint32_t i
    if account > MAX_ACCOUNT:
        return False
    listeners = listeners_of(mail, account)
    for i in range(listeners.count):
        if listeners.items[i].client == client:
            return listeners.items[i].may_send
    return False

cdef inline bint client_join(mail_t* mail, client_t* client, uint32_t account, bint may_send) noexcept nogil:
    """Events of the account come to this client from now on; False where there is no memory."""
    cdef listeners_t* listeners = listeners_of(mail, account)
    cdef listener_t* listener
    cdef void* moved
    client_leave(mail, client, account)
    moved = grown(listeners.items, &listeners.room, listeners.count, sizeof(listener_t))
    if moved == NULL:
        return False
    listeners.items = <listener_t*>moved
    moved = grown(client.accounts, &client.account_room, client.account_count, sizeof(uint32_t))
    if moved == NULL:
        return False
    client.accounts = <uint32_t*>moved
    client.accounts[client.account_count] = account
    client.account_count += 1
    listener = &listeners.items[listeners.count]
    listener.client = client
    listener.batch = 0
    listener.may_send = may_send
    listeners.count += 1
    return True

cdef inline void client_leave(mail_t* mail, client_t* client, uint32_t account) noexcept nogil:
    """Events of the account do not come to this client any more."""
    cdef uint32_t i
    for i in range(client.account_count):
        if client.accounts[i] == account:
            client.account_count -= 1
            client.accounts[i] = client.accounts[client.account_count]
            forget_listener(listeners_of(mail, account), client)
            return

cdef inline void forget_listener(listeners_t* listeners, const client_t* client) noexcept nogil:
    cdef uint32_t i
    for i in range(listeners.count):
        if listeners.items[i].client == client:
            listeners.count -= 1
            listeners.items[i] = listeners.items[listeners.count]
            break
    if listeners.count == 0:
        PyMem_RawFree(listeners.items)
        listeners.items = NULL
        listeners.room = 0

cdef inline void forget_accounts(mail_t* mail, client_t* client) noexcept nogil:
    while client.account_count:
        client.account_count -= 1
        forget_listener(listeners_of(mail, client.accounts[client.account_count]), client)

# ------------------------------------------------------------------------------------------------ letters

cdef inline bint mail_touch(mail_t* mail, client_t* client) noexcept nogil:
    """Notes that this round brings the client something; False where there is no memory."""
    cdef void* moved
    if client.is_touched:
        return True
    moved = grown(mail.touched, &mail.touched_room, mail.touched_count, sizeof(client_t*))
    if moved == NULL:
        return False
    mail.touched = <client_t**>moved
    mail.touched[mail.touched_count] = client
    mail.touched_count += 1
    client.is_touched = True
    return True
