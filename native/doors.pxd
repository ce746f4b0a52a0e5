"""What the compiled modules offer each other in C: tables of functions, handed over in capsules.

An extension cannot be linked to another one, and what one of them has set up at its import - the shapes of the codec, the
state of an engine - is in it alone.  So it hands out pointers; calling through one costs a nanosecond or two.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

#: Names of the capsules.
cdef extern from *:
    """
    #define CODEC_DOOR "exchange._native.codec.door"
    #define ENGINE_DOOR "exchange._native.engine.door"
    #define MARKET_DATA_DOOR "exchange._native.market_data.door"
    """
    const char* CODEC_DOOR
    const char* ENGINE_DOOR
    const char* MARKET_DATA_DOOR

cdef struct codec_door_t:
    size_t command_room                # bytes that a command's record may need,
    size_t event_room                  # and the msgpack array of an event
    # Reads one msgpack array into a record; returns where the next one begins, NULL where this is no command.
    const uint8_t* (*read_command)(
        const uint8_t* at, const uint8_t* end, uint8_t* record, uint64_t* request_id) noexcept nogil
    # Writes the msgpack array of an event that an engine gave; returns its end.
    uint8_t* (*write_event)(uint8_t* to, const uint8_t* record, uint64_t request_id) noexcept nogil

cdef enum:
    APPLIED = 0
    OUT_OF_SEQUENCE = -1               # the batch is not whole records that follow the last command: nothing was applied
    BROKEN = -2                        # an invariant broke, now or before: ask the engine in Python, it raises what it was

cdef struct engine_door_t:
    void* core
    # Applies stamped command records; the events are the core's own and good until its next batch.
    int (*apply)(void* core, const char* commands, int64_t size, const char** events, int64_t* event_bytes) noexcept nogil
    # The events of the last batch are no longer needed: much memory is given back.
    void (*forget_events)(void* core) noexcept nogil

cdef struct publication_t:
    const uint8_t* topic
    const uint8_t* payload
    uint32_t topic_bytes
    uint32_t payload_bytes

cdef struct market_data_door_t:
    void* feed
    # Takes the events of one batch, of commands up to last_sequence at this time; 0, or what broke: ask the publisher in
    # Python, it raises what it was.
    int (*follow)(void* feed, const uint8_t* events, int64_t size, uint64_t last_sequence, int64_t timestamp_ns) noexcept nogil
    # The next publication of that batch, good until the next one; False: there are no more.  `at` begins as 0.
    bint (*next)(void* feed, size_t* at, publication_t* publication) noexcept nogil
    # When a conflated topic has something to tell beside a batch, which Python then does; INT64_MAX: none has.
    int64_t (*next_due_ns)(void* feed) noexcept nogil
