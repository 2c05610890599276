#include "tests/simulation/shipped/oracle.h"

#include <algorithm>
#include <cstdlib>

namespace coho::simulation {

void Oracle::Processed(const std::string& key, int64_t index) {
  const auto [it, is_new] = first_processed_.try_emplace(key, index);
  if (!is_new) it->second = std::min(it->second, index);
}

std::string Oracle::Read(sim::Kafka* kafka, const std::string& output) {
  const sim::KafkaTopic* topic = kafka->FindTopic(output);
  if (topic == nullptr) return "";
  for (int32_t p = 0; p < static_cast<int32_t>(topic->partitions.size()); ++p) {
    const auto fetched = kafka->Fetch({output, p}, next_[p], true, static_cast<size_t>(-1));
    if (fetched.error != sim::Error::kNone) continue;
    next_[p] = fetched.next;
    for (const sim::KafkaRecord* record : fetched.records) {
      const size_t colon = record->value.find(':');
      const int64_t count = std::strtoll(record->value.c_str(), nullptr, 10);
      const int64_t index = std::strtoll(record->value.c_str() + colon + 1, nullptr, 10);
      if (std::string wrong = Judge(record->key, count, index); !wrong.empty()) return wrong;
    }
  }
  return "";
}

std::string Oracle::Judge(const std::string& name, int64_t count, int64_t index) {
  Key& key = keys_[name];
  const std::string what = "key " + name + ": count " + std::to_string(count) + " of record " +
                           std::to_string(index) + " after count " + std::to_string(key.count) +
                           " of record " + std::to_string(key.last);
  if (key.first == 0) {
    key.first = start_from_ == StartFrom::kEarliest ? 1 : first_processed_[name];
    key.last = key.first - 1;
  }
  // What was deleted before anybody read it is nobody's fault.
  const auto forgiven = forgiven_.find(name);
  const bool gap = index > key.last + 1;
  if (guarantee_ == Guarantee::kAtLeastOnce) {
    // A record that was given up on may come again behind later ones.
    for (int64_t i = key.last + 1; i < index; ++i) key.missing.insert(i);
    key.missing.erase(index);
    if (forgiven != forgiven_.end())
      std::erase_if(key.missing, [&](int64_t i) { return i <= forgiven->second; });
  } else if (gap && (forgiven == forgiven_.end() || index > forgiven->second + 1))
    return "lost: " + what;
  if (gap) key.skipped += index - key.last - 1;
  int64_t least = index - key.first + 1 - key.skipped;
  // What was processed and not committed cannot be processed again.
  if (guarantee_ == Guarantee::kAtLeastOnce && forgiven != forgiven_.end())
    least = std::min(least, index - forgiven->second);
  if (guarantee_ == Guarantee::kExactlyOnce) {
    if (index <= key.last) return "twice: " + what;
    if (counts_ && count != least) return "wrong state: " + what;
  } else if (counts_ && count < least) {
    return "lost update: " + what;
  }
  key.last = std::max(key.last, index);
  key.count = count;
  return "";
}

bool Oracle::Complete() const { return Missing().empty(); }

std::string Oracle::Missing() const {
  for (const auto& [name, fed] : fed_) {
    const auto key = keys_.find(name);
    const int64_t last = key == keys_.end() ? 0 : key->second.last;
    if (key != keys_.end() && !key->second.missing.empty())
      return "key " + name + " lacks record " + std::to_string(*key->second.missing.begin());
    if (last == fed || forgiven_.contains(name)) continue;
    if (start_from_ == StartFrom::kLatest && !first_processed_.contains(name)) continue;
    return "key " + name + " is at record " + std::to_string(last) + " of " + std::to_string(fed);
  }
  return "";
}

}  // namespace coho::simulation
