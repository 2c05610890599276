// What the simulation's consumer, producer and admin client have in common: a request is tried
// until it is answered or time is over, and what gets lost on the way is drawn. Include only from
// tests/support/sim.
#pragma once

#include <functional>
#include <string>

#include "common/base/status.h"
#include "tests/support/sim/cloud.h"

namespace coho::sim {

struct Client {
  Process* process = Scheduler::CurrentProcess();

  // `request` is performed as often as it gets through, and answered with what it said last.
  // `coordinator`: of a transactional id or a group, if the request goes to one. Retried are lost
  // answers and errors that mean "later".
  Error Ask(Duration timeout, const std::string& coordinator, const std::function<Error()>& request,
            bool* timed_out) const;
  [[nodiscard]] Status AskStatus(Duration timeout, const std::string& coordinator,
                                 const std::string& context,
                                 const std::function<Error()>& request) const;
};

[[nodiscard]] bool IsLater(Error error);
[[nodiscard]] Status ToStatus(Error error, const std::string& context);

}  // namespace coho::sim
