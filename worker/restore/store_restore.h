// One store on its way home: opened, planned, wiped if it has to be, and fed with its changelog's
// records until it is caught up. Knows nothing of Kafka; the Restorer feeds it.
//
// What a marker says while a replay is under way decides whether an interrupted one may go on
// later. Its position moves with the records; its time does not: it stays the time of the marker
// the replay began from, or, for a full replay, the time at which the changelog's range was asked
// for. Whatever tombstone the rest of the replay needs was still in the topic then, and stays for
// delete.retention.ms at least. Only when caught up it becomes the time of the question: nothing
// before it is missing.
//
// Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/model/job.h"
#include "worker/restore/plan.h"
#include "worker/restore/replayed.h"
#include "worker/store/engine.h"
#include "worker/store/task_store.h"

namespace coho {

class StoreRestore final : public Replayed {
 public:
  struct Options {
    std::string job_id;
    StoreSpec spec;
    std::string changelog_topic;          // empty without changelog
    std::string changelog_topic_id = {};  // empty: unknown
    std::string kafka_cluster_id = {};    // empty: unknown
    bool transactional = true;            // guarantee ExactlyOnce
    TaskId task;
    EngineFactory* engines = nullptr;
  };
  explicit StoreRestore(Options options) : options_(std::move(options)) {}

  // Opens the engine and reads its marker. What is corrupt is left for Plan to wipe; the Status is
  // for other failures.
  [[nodiscard]] Status Open();

  struct Changelog {
    int64_t begin = 0;
    int64_t end = 0;
    WallTime asked_at;  // before begin and end were asked for
    Duration delete_retention{};
    std::optional<Positions> positions = {};  // the task's, for a store without changelog
  };
  // Whether delete_retention matters to the plan.
  [[nodiscard]] bool NeedsRetention(const Changelog& changelog) const;
  // Decides, and wipes at once. Afterwards feed it from position() unless it is caught_up().
  // kInvalidArgument: refused, and nothing was touched; says what was found and the ways on.
  [[nodiscard]] Status Plan(const Changelog& changelog);

  [[nodiscard]] TopicPartition source() const override {
    return {options_.changelog_topic, options_.task.value()};
  }
  [[nodiscard]] Status Add(int64_t offset, std::string_view key,
                           std::optional<std::string_view> value) override;
  void Reached(int64_t offset) override;
  [[nodiscard]] Status Write() override;
  [[nodiscard]] Status StartOver(std::string_view reason) override;
  [[nodiscard]] bool caught_up() const override { return position_ >= plan_.to; }
  [[nodiscard]] int64_t position() const override { return position_; }

  // REQUIRES: caught_up(), everything written. A new marker with the task's positions, on disk
  // where an older or none would cost a later restore.
  [[nodiscard]] Status WriteMarker(const Positions& positions);
  // What is found to be corrupt only now: the next Plan wipes it.
  void Distrust(const Status& why);
  // REQUIRES: WriteMarker was OK. `options`: what is to be set beside spec and marker.
  [[nodiscard]] std::unique_ptr<TaskStore> Finish(TaskStore::Options options);

  [[nodiscard]] const RestorePlan& plan() const { return plan_; }
  [[nodiscard]] const Changelog& changelog() const { return changelog_; }
  [[nodiscard]] const Options& options() const { return options_; }
  // As the changelog has them at position(); empty: none.
  [[nodiscard]] const Positions& positions() const { return positions_; }
  // What shows that the task ran before; empty: nothing. REQUIRES: as Finish.
  [[nodiscard]] std::string StateFound() const;
  [[nodiscard]] bool wiped() const { return wiped_; }         // local state was thrown away
  [[nodiscard]] int64_t records() const { return records_; }  // applied
  [[nodiscard]] int64_t bytes() const { return bytes_; }

 private:
  [[nodiscard]] StoreMarker Marker(int64_t position, int64_t time_ms) const;
  [[nodiscard]] RestoreInput Input(const Changelog& changelog) const;
  [[nodiscard]] Status Refused(const RestorePlan& plan, const Changelog& changelog) const;

  const Options options_;
  std::unique_ptr<Engine> engine_;
  std::optional<StoreMarker> marker_;  // as found
  bool corrupt_ = false;
  bool wiped_ = false;
  Changelog changelog_;
  RestorePlan plan_;
  int64_t position_ = 0;
  int64_t marker_time_ms_ = 0;  // of markers written during the replay
  Positions positions_;         // as of position_
  std::vector<EngineWrite> writes_;
  int64_t writes_bytes_ = 0;
  int64_t records_ = 0;
  int64_t bytes_ = 0;
};

}  // namespace coho
