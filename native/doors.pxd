"""What the compiled modules offer each other in C: tables of functions, handed over in capsules.

An extension cannot be linked to another one, and what one of them has set up at its import - the shapes of the codec, the
state of an engine - is in it alone.  So it hands out pointers; calling through one costs a nanosecond or two.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

#: Names of the capsules.
cdef extern from *:
    """
    #define ENGINE_DOOR "exchange._native.engine.door"
    #define CODEC_DOOR "exchange._native.codec.door"
    """
    const char* ENGINE_DOOR
    const char* CODEC_DOOR

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

cdef struct codec_door_t:
    size_t command_room                # bytes that a command's record may need,
    size_t event_room                  # and the msgpack array of an event
    # Reads one msgpack array into a record; returns where the next one begins, NULL where this is no command.
    const uint8_t* (*read_command)(
        const uint8_t* at, const uint8_t* end, uint8_t* record, uint64_t* request_id) noexcept nogil
    # Writes the msgpack array of an event that an engine gave; returns its end.
    uint8_t* (*write_event)(uint8_t* to, const uint8_t* record, uint64_t request_id) noexcept nogil
