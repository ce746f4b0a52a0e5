// The floor: what matching alone costs in plain C++, to measure an engine against in the same run.
//
//     g++ -O3 -march=native -std=c++17 -I benchmarks benchmarks/floor.cpp -o floor && ./floor WORKLOAD.bin [PASSES]
//
// It does what a workload needs and no more: price-time priority over prices below 2^18 ticks, in flat arrays. No accounts,
// events, limits or growth; an exchange cannot be built like this, which is why it is the floor. Output: one line of JSON
// with the median nanoseconds of CPU per message and the answers, so that a wrong floor is noticed.
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "workload.hpp"

namespace {

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
    uint64_t trades = 0, volume = 0;

    Floor() : orders_(1), ids_(1 << 17), slots_(1 << 17) { orders_.reserve(1 << 16); }

    void apply(const workload::Message& m) {
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
    uint64_t resting() const { return resting_; }
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
        ++resting_;
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
        --resting_;
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
    uint64_t resting_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    return workload::measure<Floor>(argc, argv, kTicks);
}
