#include "common/coordination/even_split.h"

#include <algorithm>
#include <map>
#include <queue>
#include <set>
#include <tuple>
#include <utility>

#include "common/base/check.h"

namespace coho {
namespace {

// Successive shortest paths. Every item begins where it is cheapest, however many are there
// already; then one after the other leaves a bin that has too many, over the cheapest chain of
// moves (an item to the next bin, one of that bin's to another, ...) to a bin that has too few.
// A node is a bin, or the crowd: the items that are nowhere in particular, of which bins hold
// `crowd_` places. Potentials keep all costs between nodes at zero or more (Dijkstra).
class Split {
 public:
  Split(const std::vector<SplitItem>& items, size_t bins, int64_t steps)
      : items_(items),
        nobody_(bins),
        least_(items.size() / bins),
        extra_(items.size() % bins),
        steps_(steps),
        at_(items.size(), nobody_),
        crowd_(bins),
        held_(bins),
        over_(bins + 1),
        moves_(bins + 1),
        potential_(bins + 1) {}

  EvenSplit Make() {
    for (size_t i = 0; i < items_.size(); ++i) {
      const auto& options = items_[i].options;
      const auto cheapest =
          std::min_element(options.begin(), options.end(), [](const auto& a, const auto& b) {
            return std::tuple(a.cost, a.bin) < std::tuple(b.cost, b.bin);
          });
      if (cheapest != options.end()) at_[i] = cheapest->bin;
      ++over_[at_[i]];
    }
    if (!IsEven()) {
      for (size_t i = 0; i < items_.size(); ++i) List(i);
      for (size_t bin = 0; bin < nobody_; ++bin) Hold(bin, std::min(over_[bin], least_));
      Fill(least_);
      sink_potential_ = *std::min_element(potential_.begin(), potential_.end() - 1);
      Fill(least_ + 1);
      PlaceWhatIsLeft();
    }
    EvenSplit split{.bins = {}, .room = crowd_};
    for (const size_t node : at_)
      split.bins.push_back(node == nobody_ ? std::nullopt : std::optional(node));
    return split;
  }

 private:
  using Step = std::pair<PlanCost, size_t>;   // what it costs, and the item
  using Entry = std::pair<PlanCost, size_t>;  // how far it is, and the node
  struct Reached {
    std::optional<PlanCost> cost;
    size_t from = 0;
    bool settled = false;
  };

  [[nodiscard]] bool IsEven() const {
    return over_[nobody_] == 0 && std::all_of(over_.begin(), over_.end() - 1, [&](size_t count) {
             return count == least_ || (extra_ > 0 && count == least_ + 1);
           });
  }
  // Up to so many in each bin, as long as there are some that have to go on.
  void Fill(size_t limit) {
    limit_ = limit;
    std::set<Entry> sources;
    const auto add = [&](size_t node) {
      if (over_[node] > 0) sources.emplace(CheapestWayFrom(node), node);
    };
    for (size_t node = 0; node <= nobody_; ++node) add(node);
    while (!sources.empty() && steps_ > 0 && FirstWithRoom() < nobody_) {
      // Any order is right; in this one a later chain seldom takes back what an earlier one did.
      const size_t node = sources.extract(sources.begin()).value().second;
      Improve(node);
      add(node);
    }
  }
  PlanCost CheapestWayFrom(size_t node) {
    std::optional<PlanCost> cheapest;
    ForEachWay(node, [&](size_t, const PlanCost& way) {
      if (!cheapest || way < *cheapest) cheapest = way;
    });
    return cheapest.value_or(PlanCost());
  }
  [[nodiscard]] size_t FirstWithRoom() const {
    const auto first =
        std::find_if(held_.begin(), held_.end(), [&](size_t n) { return n < limit_; });
    return static_cast<size_t>(first - held_.begin());
  }
  void Hold(size_t bin, size_t count) {
    over_[bin] -= count;
    held_[bin] += count;
  }
  [[nodiscard]] PlanCost CostAt(size_t item, size_t node) const {
    for (const auto& option : items_[item].options) {
      if (option.bin == node) return option.cost;
    }
    return items_[item].anywhere;
  }

  template <class F>
  void ForEachMove(size_t item, F f) {
    const PlanCost here = CostAt(item, at_[item]);
    for (const auto& option : items_[item].options) {
      if (option.bin != at_[item]) f(option.bin, Step(option.cost - here, item));
    }
    if (at_[item] != nobody_) f(nobody_, Step(items_[item].anywhere - here, item));
  }
  void List(size_t item) {
    ForEachMove(item, [&](size_t to, const Step& step) { moves_[at_[item]][to].insert(step); });
  }
  void Unlist(size_t item) {
    ForEachMove(item, [&](size_t to, const Step& step) {
      const auto steps = moves_[at_[item]].find(to);
      steps->second.erase(step);
      if (steps->second.empty()) moves_[at_[item]].erase(steps);
    });
  }
  void MoveItem(size_t item, size_t to) {
    Unlist(item);
    at_[item] = to;
    List(item);
  }
  // A bin that has one of the crowd gives it back for nothing, and any bin takes one of it.
  void MoveOne(size_t from, size_t to) {
    const auto steps = moves_[from].find(to);
    if (to == nobody_ && crowd_[from] > 0) {
      --crowd_[from];
    } else if (steps != moves_[from].end()) {
      MoveItem(steps->second.begin()->second, to);
    } else {
      ++crowd_[to];
    }
  }

  // f(to, cost) for the cheapest move from `node` to each other one.
  template <class F>
  void ForEachWay(size_t node, F f) {
    if (node == nobody_) {
      auto steps = moves_[node].begin();
      for (size_t bin = 0; bin < nobody_; ++bin) {
        const bool some = steps != moves_[node].end() && steps->first == bin;
        f(bin, some ? (steps++)->second.begin()->first : PlanCost());
      }
      return;
    }
    for (const auto& [to, steps] : moves_[node]) {
      if (to != nobody_ || crowd_[node] == 0) f(to, steps.begin()->first);
    }
    if (crowd_[node] > 0) f(nobody_, PlanCost());
  }

  // One item (of the crowd: many) leaves the node, over the cheapest chain to any bin with room.
  void Improve(size_t source) {
    std::vector<Reached> reached(nobody_ + 1);
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> next;
    const auto reach = [&](size_t node, size_t from, const PlanCost& cost) {
      Reached& known = reached[node];
      if (known.settled || (known.cost && *known.cost <= cost)) return;
      known = {cost, from, false};
      next.emplace(cost, node);
    };
    reach(source, source, PlanCost());
    std::optional<Entry> end;
    while (!next.empty() && !(end && end->first <= next.top().first)) {
      const Entry at = next.top();
      const size_t node = at.second;
      next.pop();
      if (std::exchange(reached[node].settled, true)) continue;
      const PlanCost base = at.first + potential_[node];
      // Bins with room are equally far from the crowd: one of them stands for all.
      const size_t bin = node == nobody_ ? FirstWithRoom() : node;
      const Entry out(base - sink_potential_, bin);
      if (held_[bin] < limit_ && (!end || out < *end)) {
        end = out;
        if (bin != node) reach(bin, node, base - potential_[bin]);
      }
      ForEachWay(node, [&](size_t to, const PlanCost& way) {
        --steps_;
        const PlanCost there = base + way - potential_[to];
        if (!end || there < end->first) reach(to, node, there);
      });
    }
    COHO_CHECK(end.has_value(), "from a bin with too many there is a way to one with room");
    for (size_t node = 0; node <= nobody_; ++node) {
      const auto& cost = reached[node].cost;
      potential_[node] = potential_[node] + (cost ? std::min(*cost, end->first) : end->first);
    }
    sink_potential_ = sink_potential_ + end->first;
    Walk(end->second, [&](size_t node) { return reached[node].from; });
  }

  template <class F>
  void Walk(size_t end, F from) {
    size_t first = end;
    size_t hops = 0;
    for (; from(first) != first; first = from(first)) ++hops;
    if (hops == 1 && first == nobody_ && !moves_[nobody_].contains(end)) {
      // Many at once, where they only have to be somewhere.
      const size_t many = std::min(over_[nobody_], limit_ - held_[end]);
      crowd_[end] += many;
      over_[nobody_] -= many;
      held_[end] += many;
      return;
    }
    for (size_t node = end; node != first; node = from(node)) MoveOne(from(node), node);
    --over_[first];
    ++held_[end];
  }

  void PlaceWhatIsLeft() {
    size_t more = extra_;
    for (const size_t held : held_) more -= held > least_ ? held - least_ : 0;
    const auto full = [&](size_t bin) {
      return held_[bin] > least_ || (held_[bin] == least_ && more == 0);
    };
    const auto take = [&](size_t bin) {
      if (++held_[bin] > least_) --more;
    };
    for (size_t bin = 0; bin < nobody_; ++bin) {
      for (; over_[bin] > 0 && !full(bin); --over_[bin]) take(bin);
      for (; over_[bin] > 0; --over_[bin], ++over_[nobody_]) MoveOne(bin, nobody_);
    }
    for (size_t i = 0; i < items_.size() && over_[nobody_] > 0; ++i) {
      if (at_[i] != nobody_) continue;
      std::vector<SplitItem::Option> options = items_[i].options;
      std::sort(options.begin(), options.end(), [](const auto& a, const auto& b) {
        return std::tuple(a.cost, a.bin) < std::tuple(b.cost, b.bin);
      });
      for (const auto& option : options) {
        if (full(option.bin)) continue;
        MoveItem(i, option.bin);
        take(option.bin);
        --over_[nobody_];
        break;
      }
    }
    for (const bool fill : {true, false}) {
      for (size_t bin = 0; bin < nobody_; ++bin) {
        for (; over_[nobody_] > 0 && (fill ? held_[bin] < least_ : !full(bin)); --over_[nobody_]) {
          take(bin);
          ++crowd_[bin];
        }
      }
    }
  }

  const std::vector<SplitItem>& items_;
  const size_t nobody_;  // the crowd's node
  const size_t least_;   // items in each bin
  const size_t extra_;   // bins that have one more
  int64_t steps_;
  std::vector<size_t> at_;     // the node of each item
  std::vector<size_t> crowd_;  // items of the crowd that each bin holds
  std::vector<size_t> held_;   // items of each bin that may stay
  std::vector<size_t> over_;   // items of each node that have to go on, or nowhere to be yet
  size_t limit_ = 0;           // up to which bins may hold now
  std::vector<std::map<size_t, std::set<Step>>> moves_;  // from node to node, the cheapest first
  std::vector<PlanCost> potential_;
  PlanCost sink_potential_;
};

}  // namespace

EvenSplit SplitEvenly(const std::vector<SplitItem>& items, size_t bins, int64_t steps) {
  COHO_CHECK(bins > 0, "items are split over bins");
  return Split(items, bins, steps).Make();
}

}  // namespace coho
