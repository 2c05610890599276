// A member under random orders of everything that can happen to it: assignments, slow closings,
// fences, re-reading, ticks.
#include <doctest/doctest.h>

#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "worker/member/member_state.h"

namespace coho {
namespace {

constexpr int kTasks = 6;

// The loops, as simple as they can be: a task runs from its grant to the closing that a revocation
// asks for.
class World {
 public:
  explicit World(uint32_t seed)
      : random_(seed),
        state_({.incarnation = "me",
                .transactional_ids = {"id0", "id1", "id2"},
                .loops = 3,
                .fences_most = 1000},
               now_) {}

  void Run(int steps) {
    for (int32_t loop = 0; loop < 3; ++loop) Perform(state_.OnLoopReady(loop, 0, now_));
    for (int i = 0; i < steps; ++i) {
      now_ += std::chrono::milliseconds(random_() % 700);
      Step();
      CheckInvariants();
    }
  }

  // Everything that is under way comes to its end; then the member runs what it was last given, and
  // has said so.
  void Settle() {
    Assign();
    while (!closings_.empty()) Close(closings_.begin()->first);
    for (int i = 0; i < 6; ++i) {
      FinishReading();
      Rejoin();
      Late();
    }
    while (!closings_.empty()) Close(closings_.begin()->first);
    while (!proving_.empty()) Prove(proving_.begin()->first);
    Perform(state_.OnTick(now_ + std::chrono::hours(1)));
    CheckInvariants();
    std::set<TaskId> running;
    for (const auto& [task, grant] : running_) running.insert(task);
    CHECK(running == state_.given());
    CHECK(state_.acknowledged() == state_.generation());
    CHECK(state_.proven().size() == 3);
  }

 private:
  void Step() {
    switch (random_() % 11) {
      case 0:
      case 1:
        Assign();
        break;
      case 2: {  // an old record once more
        std::optional<WorkerAssignment> nothing;
        const MemberActions actions =
            state_.OnAssignment({.generation = Generation(std::max<int64_t>(0, generation_ - 1)),
                                 .life = "l",
                                 .mine = nothing,
                                 .missing_in_model = ""},
                                now_);
        CHECK(actions.empty());
        break;
      }
      case 3:
      case 4:
        if (!closings_.empty())
          Close(
              std::next(closings_.begin(), random_() % static_cast<int>(closings_.size()))->first);
        break;
      case 5: {
        const int32_t loop = static_cast<int32_t>(random_() % 3);
        Late();  // what loops say comes in the order in which they say it
        std::erase_if(running_, [loop](const auto& r) { return r.second.loop == loop; });
        std::erase_if(closings_, [loop](const auto& c) { return c.second.loop == loop; });
        // A successor initialises its producer: from now on no commit on this one succeeds.
        ++epochs_[loop];
        // Told to join again, it may have heard of that, or not yet.
        const bool joining = rejoining_.contains(loop) && random_() % 2 == 0;
        if (joining) {
          heard_[loop] = told_;
          rejoining_.erase(loop);
        }
        looking_ = true;
        Perform(state_.OnLoopFenced(loop, true, heard_[loop], now_));
        looking_ = false;
        break;
      }
      case 9:
        if (!proving_.empty()) Prove(proving_.begin()->first);
        break;
      case 7:
        Rejoin();
        break;
      case 6:
        FinishReading();
        break;
      case 10:
        Late();
        break;
      default:
        Perform(state_.OnTick(now_));
    }
  }

  void Assign() {
    ++generation_;
    given_.clear();
    std::optional<WorkerAssignment> mine;
    if (random_() % 8 != 0) {
      mine.emplace();
      mine->generation = Generation(generation_);
      mine->transactional_ids = {"id0", "id1", "id2"};
      for (int32_t task = 0; task < kTasks; ++task) {
        if (random_() % 2 == 0) mine->active.push_back(TaskId(task));
      }
      given_ = {mine->active.begin(), mine->active.end()};
    }
    Perform(state_.OnAssignment(
        {.generation = Generation(generation_), .life = "l", .mine = mine, .missing_in_model = ""},
        now_));
  }

  void Close(TaskId task) {
    const RevokeTask revoke = closings_.at(task);
    closings_.erase(task);
    running_.erase(task);
    Perform(state_.OnTaskClosed(revoke.task, revoke.grant, now_));
  }

  // The loop commits, unless it was fenced since its producer was initialised.
  void Prove(int32_t loop) {
    const Generation generation = proving_.at(loop);
    proving_.erase(loop);
    if (epochs_[loop] != own_epochs_[loop]) return;
    committed_["id" + std::to_string(loop)] = generation;
    Perform(state_.OnLoopProved(loop, generation, now_));
  }

  void Rejoin() {
    for (const int32_t loop : rejoining_) {
      own_epochs_[loop] = ++epochs_[loop];
      proving_.erase(loop);
      heard_[loop] = told_;
    }
    for (const int32_t loop : std::exchange(rejoining_, {})) {
      // Before it says so, all may have been told to join once more.
      if (random_() % 4 == 0) {
        late_.emplace_back(loop, told_);
      } else {
        Perform(state_.OnLoopReady(loop, told_, now_));
      }
    }
  }

  void Late() {
    for (const auto& [loop, join] : std::exchange(late_, {}))
      Perform(state_.OnLoopReady(loop, join, now_));
  }

  void FinishReading() {
    if (!reading_) return;
    const int64_t number = *reading_;
    reading_.reset();
    Perform(state_.OnCaughtUp(number, now_));
  }

  void Perform(const MemberActions& actions) {
    for (const MemberAction& action : actions) {
      if (const auto* grant = std::get_if<GrantTask>(&action)) {
        CHECK_MESSAGE(!running_.contains(grant->task), "granted to two loops at once");
        CHECK_MESSAGE(rejoining_.empty(), "granted to a worker with a fenced producer");
        CHECK_MESSAGE(!reading_, "granted while what it knows may be old");
        CHECK(given_.contains(grant->task));
        running_[grant->task] = *grant;
      } else if (const auto* revoke = std::get_if<RevokeTask>(&action)) {
        CHECK(running_.contains(revoke->task));
        CHECK_MESSAGE(!closings_.contains(revoke->task), "revoked twice");
        closings_[revoke->task] = *revoke;
      } else if (const auto* rejoin = std::get_if<RejoinLoop>(&action)) {
        rejoining_.insert(rejoin->loop);
        told_ = rejoin->join;
        const auto of_loop = [&](const auto& entry) { return entry.second.loop == rejoin->loop; };
        std::erase_if(running_, of_loop);
        std::erase_if(closings_, of_loop);
      } else if (const auto* read = std::get_if<ReadToEnd>(&action)) {
        CHECK_MESSAGE((rejoining_.empty() || looking_),
                      "reads before all producers are initialised");
        reading_ = read->number;
      } else if (const auto* prove = std::get_if<ProveLoop>(&action)) {
        CHECK_MESSAGE(closings_.empty(), "proves before all is closed");
        CHECK(prove->generation.value() == generation_);
        proving_[prove->loop] = prove->generation;
      } else if (const auto* beat = std::get_if<SendHeartbeat>(&action)) {
        for (const auto& [id, generation] : beat->proven) {
          CHECK_MESSAGE(committed_.contains(id), "told as proven without a commit");
          CHECK(generation <= committed_[id]);
        }
        CHECK(beat->sequence == sequence_ + 1);
        sequence_ = beat->sequence;
        CHECK(beat->acknowledged >= acknowledged_);
        acknowledged_ = beat->acknowledged;
      }
    }
  }

  // R1a: what generation g does not give runs no longer once g is acknowledged.
  void CheckInvariants() {
    for (const auto& [task, grant] : running_) {
      if (!given_.contains(task)) CHECK(acknowledged_.value() < generation_);
    }
    CHECK(acknowledged_.value() <= generation_);
  }

  std::mt19937 random_;
  MonotonicTime now_{std::chrono::seconds(1)};
  MemberState state_;
  int64_t generation_ = 0;
  std::set<TaskId> given_;
  std::map<TaskId, GrantTask> running_;
  std::map<TaskId, RevokeTask> closings_;
  std::set<int32_t> rejoining_;
  int64_t told_ = 0;                               // the number that they were told to join with
  std::map<int32_t, int64_t> heard_;               // the last one that a loop heard of
  std::vector<std::pair<int32_t, int64_t>> late_;  // said to be ready, not heard of yet
  bool looking_ = false;
  std::map<int32_t, Generation> proving_;
  std::map<int32_t, int64_t> epochs_;      // of the ids, in Kafka
  std::map<int32_t, int64_t> own_epochs_;  // of this process's producers
  std::map<std::string, Generation> committed_;
  std::optional<int64_t> reading_;
  int64_t sequence_ = 0;
  Generation acknowledged_;
};

TEST_CASE(
    "MemberState: whatever happens, no task runs that was acknowledged away, and it settles on "
    "what it is given") {
  for (uint32_t seed = 1; seed <= 3000; ++seed) {
    CAPTURE(seed);
    World world(seed);
    world.Run(60);
    world.Settle();
  }
}

}  // namespace
}  // namespace coho
