// What the C++ programs of the benchmarks share: the messages of a workload file, the clock, and the line they print.
//
// A book for `measure` has `apply(message)`, `best_bid()` and `best_ask()` (-1: that side is empty), `resting()`, and
// the counts `trades` and `volume`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <vector>

namespace workload {

struct Message {  // 32 bytes, see exchange/bench/core.py
    uint8_t op, side, tif, unused;
    uint32_t user;
    uint64_t order_id;
    int64_t price, qty;
};
static_assert(sizeof(Message) == 32, "the file is an array of these");

enum Op : uint8_t { kPlace, kCancel, kMove };

inline double cpu_ns() {
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return double(t.tv_sec) * 1e9 + double(t.tv_nsec);
}

// All messages of a file; none if it cannot be read or a price is not below `ticks`, which is said on stderr.
inline std::vector<Message> read(const char* path, int64_t ticks) {
    std::vector<Message> messages;
    std::FILE* file = std::fopen(path, "rb");
    if (!file) {
        std::perror(path);
        return messages;
    }
    for (Message m; std::fread(&m, sizeof m, 1, file) == 1;) messages.push_back(m);
    std::fclose(file);
    for (const Message& m : messages) {
        if (m.op != kCancel && (m.price < 0 || m.price >= ticks)) {
            std::fprintf(stderr, "prices must be from 0 to below %lld ticks; one is %lld\n", (long long)ticks, (long long)m.price);
            return {};
        }
    }
    return messages;
}

// The whole program: passes over a file, each with a book of its own, and one line of JSON with the median time.
template <class Book>
int measure(int argc, char** argv, int64_t ticks) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s WORKLOAD.bin [PASSES]\n", argv[0]);
        return 2;
    }
    const std::vector<Message> messages = read(argv[1], ticks);
    if (messages.empty()) return 2;
    const int passes = argc > 2 ? std::max(1, std::atoi(argv[2])) : 7;
    std::vector<double> times;
    std::unique_ptr<Book> book;
    for (int pass = 0; pass < passes; ++pass) {
        book = std::make_unique<Book>();
        const double start = cpu_ns();
        for (const Message& m : messages) book->apply(m);
        times.push_back((cpu_ns() - start) / double(messages.size()));
    }
    std::sort(times.begin(), times.end());
    std::printf(
        "{\"ns_per_message\": %.2f, \"messages\": %zu, \"trades\": %llu, \"volume\": %llu, \"resting\": %llu, "
        "\"best_bid\": %lld, \"best_ask\": %lld}\n",
        times[times.size() / 2], messages.size(), (unsigned long long)book->trades, (unsigned long long)book->volume,
        (unsigned long long)book->resting(), (long long)book->best_bid(), (long long)book->best_ask());
    return 0;
}

}  // namespace workload
