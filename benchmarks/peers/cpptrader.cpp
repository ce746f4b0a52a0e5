// CppTrader on a workload: its market manager as it is, order matching enabled, one symbol with one order book.
//
//     g++ -O3 -march=native -std=c++17 -I benchmarks -I CppTrader/include -I CppTrader/source -I CppCommon/include \
//         -I CppCommon/modules/fmt/include benchmarks/peers/cpptrader.cpp
//
// It is in no package; peers.py says how to get it. Its three sources are compiled with the program, so that the compiler sees all of
// it at once, and with NDEBUG, as in its own release build.
//
// What stands for what: immediate or cancel is its IOC; a move is MitigateOrder with the quantity that was placed, of which it takes
// off what was executed. That is the order's own call for it, and quicker here than ReplaceOrder. (After the fills of a move it goes on
// with the place of the order in its hash table as it was before them, where another order may stand by then; so what rests is
// counted by walking that table.) A trade is told to both of its orders; those of buyers are counted.
#define NDEBUG
#define FMT_HEADER_ONLY  // which the exceptions of CppCommon include, and nothing here calls

#include <iterator>
#include <vector>

#include "trader/matching/market_manager.cpp"
#include "trader/matching/order.cpp"
#include "trader/matching/order_book.cpp"

#include "workload.hpp"

namespace {

using namespace CppTrader::Matching;

constexpr uint32_t kSymbol = 0;

class Fills : public MarketHandler {
  public:
    uint64_t trades = 0, volume = 0;

  protected:
    void onExecuteOrder(const Order& order, uint64_t, uint64_t qty) override {
        if (order.IsBuy()) {
            ++trades;
            volume += qty;
        }
    }
};

class Book : public Fills {
  public:
    Book() : placed_(1), market_(*this) {  // ids count placements from 1
        const Symbol symbol(kSymbol, "PERP\0\0\0");
        market_.AddSymbol(symbol);
        market_.AddOrderBook(symbol);
        market_.EnableMatching();
    }

    void apply(const workload::Message& m) {
        switch (m.op) {
            case workload::kPlace:
                placed_.push_back(uint32_t(m.qty));
                market_.AddOrder(Order::Limit(m.order_id, kSymbol, m.side == 0 ? OrderSide::BUY : OrderSide::SELL, uint64_t(m.price),
                                              uint64_t(m.qty), m.tif == 1 ? OrderTimeInForce::IOC : OrderTimeInForce::GTC));
                break;
            case workload::kCancel:
                market_.DeleteOrder(m.order_id);
                break;
            default:
                market_.MitigateOrder(m.order_id, uint64_t(m.price), placed_[m.order_id]);
        }
    }
    uint64_t resting() const { return uint64_t(std::distance(market_.orders().begin(), market_.orders().end())); }
    int64_t best_bid() const { return price_of(market_.GetOrderBook(kSymbol)->best_bid()); }
    int64_t best_ask() const { return price_of(market_.GetOrderBook(kSymbol)->best_ask()); }

  private:
    static int64_t price_of(const LevelNode* level) { return level ? int64_t(level->Price) : -1; }

    std::vector<uint32_t> placed_;
    MarketManager market_;
};

}  // namespace

int main(int argc, char** argv) {
    return workload::measure<Book>(argc, argv, int64_t(1) << 40);
}
