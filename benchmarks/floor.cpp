// The floor: what matching alone costs in plain C++, to measure an engine against in the same run.
//
//     g++ -O3 -march=native -std=c++17 benchmarks/floor.cpp -o floor && ./floor WORKLOAD.bin [PASSES]
//
// It does what a workload needs and no more: price-time priority over prices below 2^18 ticks, in flat arrays. No accounts,
// events, limits or growth; an exchange cannot be built like this, which is why it is the floor. Output: one line of JSON
// with the median nanoseconds of CPU per message and the answers, so that a wrong floor is noticed.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

namespace {

struct Message {  // 32 bytes, see exchange/bench/core.py
    uint8_t op, side, tif, unused;
    uint32_t user;
    uint64_t order_id;
    int64_t price, qty;
};
static_assert(sizeof(Message) == 32, "the file is an array of these");

constexpr uint32_t kTicks = 1u << 18;

struct Resting {
    uint64_t order_id;
    uint32_t qty, price, newer, older;
    uint32_t side, pad;
};

struct Queue {
    uint32_t front = 0, back = 0;
};

// Occupied prices of one side as a tree of bitmaps: 64 prices a word, 64 words a word above it.
class Prices {
  public:
    void add(uint32_t p) {
        low_[p >> 6] |= bit(p);
        middle_[p >> 12] |= bit(p >> 6);
        high_ |= bit(p >> 12);
    }
    void remove(uint32_t p) {
        if ((low_[p >> 6] &= ~bit(p)) == 0)
            if ((middle_[p >> 12] &= ~bit(p >> 6)) == 0) high_ &= ~bit(p >> 12);
    }
    int64_t highest() const {
        if (!high_) return -1;
        const uint32_t a = top(high_), b = (a << 6) + top(middle_[a]);
        return (int64_t(b) << 6) + top(low_[b]);
    }
    int64_t lowest() const {
        if (!high_) return -1;
        const uint32_t a = __builtin_ctzll(high_), b = (a << 6) + __builtin_ctzll(middle_[a]);
        return (int64_t(b) << 6) + __builtin_ctzll(low_[b]);
    }

  private:
    static uint64_t bit(uint32_t i) { return 1ull << (i & 63); }
    static uint32_t top(uint64_t w) { return 63 - __builtin_clzll(w); }
    std::vector<uint64_t> low_ = std::vector<uint64_t>(kTicks / 64);
    std::array<uint64_t, 64> middle_{};
    uint64_t high_ = 0;
};

class Floor {
  public:
    uint64_t trades = 0, volume = 0, resting = 0;

    Floor() : orders_(1), ids_(1 << 17), slots_(1 << 17) { orders_.reserve(1 << 16); }

    void apply(const Message& m) {
        switch (m.op) {
            case 0: {
                const uint32_t left = take(m.side, uint32_t(m.price), uint32_t(m.qty));
                if (left && m.tif == 0) rest(m.order_id, m.side, uint32_t(m.price), left);
                break;
            }
            case 1:
                if (const uint32_t slot = find(m.order_id)) forget(slot);
                break;
            default:
                if (const uint32_t slot = find(m.order_id)) {
                    const Resting old = orders_[slot];
                    forget(slot);
                    const uint32_t left = take(old.side, uint32_t(m.price), old.qty);
                    if (left) rest(m.order_id, old.side, uint32_t(m.price), left);
                }
        }
    }
    int64_t best_bid() const { return prices_[0].highest(); }
    int64_t best_ask() const { return prices_[1].lowest(); }

  private:
    Queue& queue(uint32_t side, uint32_t price) { return levels_[side][price]; }

    void rest(uint64_t id, uint32_t side, uint32_t price, uint32_t qty) {
        uint32_t slot;
        if (spare_.empty()) {
            slot = uint32_t(orders_.size());
            orders_.emplace_back();
        } else {
            slot = spare_.back();
            spare_.pop_back();
        }
        Queue& q = queue(side, price);
        orders_[slot] = {id, qty, price, 0, q.back, side, 0};
        if (q.back) orders_[q.back].newer = slot;
        else {
            q.front = slot;
            prices_[side].add(price);
        }
        q.back = slot;
        uint64_t at = id & mask_;
        while (ids_[at]) at = (at + 1) & mask_;
        ids_[at] = id;
        slots_[at] = slot;
        ++resting;
    }

    void forget(uint32_t slot) {
        Resting& o = orders_[slot];
        Queue& q = queue(o.side, o.price);
        (o.older ? orders_[o.older].newer : q.front) = o.newer;
        (o.newer ? orders_[o.newer].older : q.back) = o.older;
        if (!q.front) prices_[o.side].remove(o.price);
        uint64_t hole = place(o.order_id);
        for (uint64_t at = (hole + 1) & mask_; ids_[at]; at = (at + 1) & mask_) {
            if (((at - ids_[at]) & mask_) >= ((at - hole) & mask_)) {
                ids_[hole] = ids_[at];
                slots_[hole] = slots_[at];
                hole = at;
            }
        }
        ids_[hole] = 0;
        spare_.push_back(slot);
        --resting;
    }

    uint32_t take(uint32_t side, uint32_t limit, uint32_t qty) {
        while (qty) {
            const int64_t best = side == 0 ? best_ask() : best_bid();
            if (best < 0 || (side == 0 ? best > limit : best < limit)) break;
            const uint32_t slot = queue(1 - side, uint32_t(best)).front;
            const uint32_t lots = std::min(qty, orders_[slot].qty);
            ++trades;
            volume += lots;
            qty -= lots;
            if ((orders_[slot].qty -= lots) == 0) forget(slot);
        }
        return qty;
    }

    uint64_t place(uint64_t id) const {
        uint64_t at = id & mask_;
        while (ids_[at] != id) at = (at + 1) & mask_;
        return at;
    }
    uint32_t find(uint64_t id) const {
        for (uint64_t at = id & mask_; ids_[at]; at = (at + 1) & mask_)
            if (ids_[at] == id) return slots_[at];
        return 0;
    }

    std::vector<Queue> levels_[2] = {std::vector<Queue>(kTicks), std::vector<Queue>(kTicks)};
    Prices prices_[2];
    std::vector<Resting> orders_;
    std::vector<uint32_t> spare_;
    std::vector<uint64_t> ids_;
    std::vector<uint32_t> slots_;
    uint64_t mask_ = (1 << 17) - 1;
};

double cpu_ns() {
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return double(t.tv_sec) * 1e9 + double(t.tv_nsec);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: floor WORKLOAD.bin [PASSES]\n");
        return 2;
    }
    std::FILE* file = std::fopen(argv[1], "rb");
    if (!file) {
        std::perror(argv[1]);
        return 2;
    }
    std::vector<Message> messages;
    for (Message m; std::fread(&m, sizeof m, 1, file) == 1;) messages.push_back(m);
    std::fclose(file);
    for (const Message& m : messages) {
        if (m.op != 1 && (m.price < 0 || m.price >= kTicks)) {
            std::fprintf(stderr, "the floor needs prices below %u ticks\n", kTicks);
            return 2;
        }
    }
    const int passes = argc > 2 ? std::max(1, std::atoi(argv[2])) : 7;
    std::vector<double> times;
    Floor last;
    for (int pass = 0; pass < passes; ++pass) {
        Floor book;
        const double start = cpu_ns();
        for (const Message& m : messages) book.apply(m);
        times.push_back((cpu_ns() - start) / double(std::max<size_t>(1, messages.size())));
        last = std::move(book);
    }
    std::sort(times.begin(), times.end());
    std::printf(
        "{\"ns_per_message\": %.2f, \"messages\": %zu, \"trades\": %llu, \"volume\": %llu, \"resting\": %llu, "
        "\"best_bid\": %lld, \"best_ask\": %lld}\n",
        times[times.size() / 2], messages.size(), (unsigned long long)last.trades, (unsigned long long)last.volume,
        (unsigned long long)last.resting, (long long)last.best_bid(), (long long)last.best_ask());
    return 0;
}
