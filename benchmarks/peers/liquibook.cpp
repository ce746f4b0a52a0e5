// Liquibook on a workload: its order book as it is, with the least around it that a venue needs.
//
//     g++ -O3 -march=native -std=c++17 -I benchmarks -I SITE-PACKAGES/include/liquibook benchmarks/peers/liquibook.cpp
//
// The headers come with the Python package of that name.  What is around the book: orders by id in one array, a fill counted, and the
// price of an order set when it was moved (Liquibook leaves that to its user).  No depth book, no listeners.
#include <cstdint>
#include <deque>
#include <iostream>

#include <book/order.h>
#include <book/order_book.h>

#include "workload.hpp"

namespace {

class PlacedOrder : public liquibook::book::Order {
  public:
    PlacedOrder(bool is_buy, int64_t price, int64_t qty, bool ioc)
        : price_(uint64_t(price)), qty_(uint64_t(qty)), is_buy_(is_buy), ioc_(ioc) {}
    bool is_buy() const override { return is_buy_; }
    liquibook::book::Price price() const override { return price_; }
    liquibook::book::Quantity order_qty() const override { return qty_; }
    bool immediate_or_cancel() const override { return ioc_; }
    void move_to(liquibook::book::Price price) { price_ = price; }

  private:
    liquibook::book::Price price_;
    liquibook::book::Quantity qty_;
    bool is_buy_, ioc_;
};

class Book : public liquibook::book::OrderBook<PlacedOrder*> {
  public:
    uint64_t trades = 0, volume = 0;

    Book() { orders_.emplace_back(true, 0, 0, false); }  // ids count placements from 1

    void apply(const workload::Message& m) {
        switch (m.op) {
            case workload::kPlace: {
                orders_.emplace_back(m.side == 0, m.price, m.qty, m.tif == 1);
                add(&orders_.back(), m.tif == 1 ? liquibook::book::oc_immediate_or_cancel : liquibook::book::oc_no_conditions);
                break;
            }
            case workload::kCancel:
                cancel(&orders_[m.order_id]);
                break;
            default:
                replace(&orders_[m.order_id], liquibook::book::SIZE_UNCHANGED, uint64_t(m.price));
        }
    }
    int64_t best_bid() const { return bids().empty() ? -1 : int64_t(bids().begin()->first.price()); }
    int64_t best_ask() const { return asks().empty() ? -1 : int64_t(asks().begin()->first.price()); }
    uint64_t resting() const { return bids().size() + asks().size(); }

  protected:
    void on_fill(PlacedOrder* const&, PlacedOrder* const&, liquibook::book::Quantity qty, liquibook::book::Price, bool,
                 bool) override {
        ++trades;
        volume += qty;
    }
    void on_replace(PlacedOrder* const& order, liquibook::book::Quantity, liquibook::book::Quantity,
                    liquibook::book::Price price) override {
        order->move_to(price);
    }

  private:
    std::deque<PlacedOrder> orders_;
};

}  // namespace

int main(int argc, char** argv) {
    return workload::measure<Book>(argc, argv, int64_t(1) << 40);
}
