"""libzmq's C functions, taken from the library that pyzmq has loaded: no headers, no library of the system.

Theory of operation.  pyzmq's wheel brings its own libzmq.  The compiled half of pyzmq is linked to it, so asking the
loader for that module - as it is, RTLD_NOLOAD - and then for a name finds the very functions that pyzmq calls, and a
socket made in Python (``socket.underlying``) can be used by them.  Sockets are made, set, bound and closed in
Python; only what moves messages is here.  A socket belongs to one thread at a time, on whichever side.

What is declared here is stable in every libzmq 4: ``zmq_msg_t`` is 64 bytes that only libzmq looks into.
"""

from libc.stdint cimport uint8_t, uintptr_t

cdef extern from * nogil:
    """
    #include <dlfcn.h>
    #include <errno.h>
    typedef union { unsigned char bytes[64]; void* aligned; } zmq_msg_t;
    typedef struct { void* socket; int fd; short events; short revents; } zmq_pollitem_t;
    enum {
        ZMQ_POLLIN = 1, ZMQ_POLLOUT = 2,
        ZMQ_DONTWAIT = 1, ZMQ_SNDMORE = 2,
        ZMQ_FD = 14, ZMQ_EVENTS = 15,
        ZMQ_OWN_ERRORS = 156384712
    };
    #define ZMQ_ETERM (ZMQ_OWN_ERRORS + 53)
    """
    void* dlopen(const char* path, int flags)
    void* dlsym(void* handle, const char* name)
    int RTLD_NOW, RTLD_NOLOAD
    int EAGAIN, EINTR, EHOSTUNREACH
    int ZMQ_POLLIN, ZMQ_POLLOUT, ZMQ_DONTWAIT, ZMQ_SNDMORE, ZMQ_FD, ZMQ_EVENTS, ZMQ_ETERM
    ctypedef struct zmq_msg_t:
        pass
    ctypedef struct zmq_pollitem_t:
        void* socket
        int fd
        short events
        short revents

# Names and types of zmq.h.
ctypedef void (*zmq_version_f)(int* major, int* minor, int* patch) noexcept nogil
ctypedef int (*zmq_errno_f)() noexcept nogil
ctypedef const char* (*zmq_strerror_f)(int number) noexcept nogil
ctypedef int (*zmq_msg_f)(zmq_msg_t* message) noexcept nogil
ctypedef int (*zmq_msg_init_size_f)(zmq_msg_t* message, size_t size) noexcept nogil
ctypedef int (*zmq_msg_pair_f)(zmq_msg_t* to, zmq_msg_t* other) noexcept nogil
ctypedef int (*zmq_msg_pass_f)(zmq_msg_t* message, void* socket, int flags) noexcept nogil
ctypedef void* (*zmq_msg_data_f)(zmq_msg_t* message) noexcept nogil
ctypedef size_t (*zmq_msg_size_f)(const zmq_msg_t* message) noexcept nogil
ctypedef int (*zmq_msg_more_f)(const zmq_msg_t* message) noexcept nogil
ctypedef const char* (*zmq_msg_gets_f)(const zmq_msg_t* message, const char* property) noexcept nogil
ctypedef int (*zmq_msg_get_f)(const zmq_msg_t* message, int property) noexcept nogil
ctypedef int (*zmq_send_f)(void* socket, const void* data, size_t size, int flags) noexcept nogil
ctypedef int (*zmq_getsockopt_f)(void* socket, int option, void* value, size_t* size) noexcept nogil
ctypedef int (*zmq_poll_f)(zmq_pollitem_t* items, int count, long timeout_ms) noexcept nogil

cdef struct ZmqApi:
    zmq_version_f version
    zmq_errno_f error            # of the last call that gave -1, in this thread
    zmq_strerror_f error_text
    zmq_msg_f msg_init
    zmq_msg_init_size_f msg_init_size
    zmq_msg_pair_f msg_copy      # shares the bytes of `other`
    zmq_msg_pair_f msg_move      # leaves `other` empty
    zmq_msg_f msg_close
    zmq_msg_pass_f msg_receive   # zmq_msg_recv: the number of bytes, or -1
    zmq_msg_pass_f msg_send      # zmq_msg_send: closes the message, unless it gives -1
    zmq_msg_data_f msg_data
    zmq_msg_size_f msg_size
    zmq_msg_more_f msg_more
    zmq_msg_gets_f msg_gets      # what libzmq says of the message's connection, NULL: nothing
    zmq_msg_get_f msg_get
    zmq_send_f send              # copies the bytes
    zmq_getsockopt_f getsockopt
    zmq_poll_f poll

cdef inline void* zmq_api_find(void* library, const char* name) except NULL:
    cdef void* found = dlsym(library, name)
    if found == NULL:
        raise ImportError(f"pyzmq's libzmq has no {name.decode()}")
    return found

cdef inline int zmq_api_load(ZmqApi* api) except -1:
    """Finds every function; ImportError where pyzmq is not the usual compiled one, so that a caller can do without."""
    import zmq
    import zmq.backend.cython._zmq as compiled

    cdef bytes path = compiled.__file__.encode()
    cdef void* library = dlopen(path, RTLD_NOW | RTLD_NOLOAD)
    cdef int major = 0, minor = 0, patch = 0
    if library == NULL:
        raise ImportError(f"pyzmq is not loaded from {compiled.__file__}, as it says")
    api.version = <zmq_version_f>zmq_api_find(library, b"zmq_version")
    api.error = <zmq_errno_f>zmq_api_find(library, b"zmq_errno")
    api.error_text = <zmq_strerror_f>zmq_api_find(library, b"zmq_strerror")
    api.msg_init = <zmq_msg_f>zmq_api_find(library, b"zmq_msg_init")
    api.msg_init_size = <zmq_msg_init_size_f>zmq_api_find(library, b"zmq_msg_init_size")
    api.msg_copy = <zmq_msg_pair_f>zmq_api_find(library, b"zmq_msg_copy")
    api.msg_move = <zmq_msg_pair_f>zmq_api_find(library, b"zmq_msg_move")
    api.msg_close = <zmq_msg_f>zmq_api_find(library, b"zmq_msg_close")
    api.msg_receive = <zmq_msg_pass_f>zmq_api_find(library, b"zmq_msg_recv")
    api.msg_send = <zmq_msg_pass_f>zmq_api_find(library, b"zmq_msg_send")
    api.msg_data = <zmq_msg_data_f>zmq_api_find(library, b"zmq_msg_data")
    api.msg_size = <zmq_msg_size_f>zmq_api_find(library, b"zmq_msg_size")
    api.msg_more = <zmq_msg_more_f>zmq_api_find(library, b"zmq_msg_more")
    api.msg_gets = <zmq_msg_gets_f>zmq_api_find(library, b"zmq_msg_gets")
    api.msg_get = <zmq_msg_get_f>zmq_api_find(library, b"zmq_msg_get")
    api.send = <zmq_send_f>zmq_api_find(library, b"zmq_send")
    api.getsockopt = <zmq_getsockopt_f>zmq_api_find(library, b"zmq_getsockopt")
    api.poll = <zmq_poll_f>zmq_api_find(library, b"zmq_poll")
    api.version(&major, &minor, &patch)
    if (major, minor, patch) != zmq.zmq_version_info() or major != 4:
        raise ImportError(f"libzmq {major}.{minor}.{patch} was found, pyzmq speaks of {zmq.zmq_version()}; wanted one libzmq 4")
    return 0

cdef inline void* zmq_api_socket(object socket) except NULL:
    """The C socket of one made in Python, which must live as long as this is used."""
    cdef void* found = <void*><uintptr_t>socket.underlying
    if found == NULL:
        raise ValueError("the socket is closed")
    return found

cdef inline const uint8_t* zmq_api_bytes(ZmqApi* api, zmq_msg_t* message) noexcept nogil:
    return <const uint8_t*>api.msg_data(message)
