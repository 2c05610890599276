#include "operator/report/worker_state.h"

#include <string_view>

#include "common/contract/exit_codes.h"
#include "operator/api/names.h"

namespace coho {
namespace {

constexpr size_t kLongestCause = 300;
constexpr int32_t kKilled = 137;  // SIGKILL

bool IsOneOf(std::string_view text, std::initializer_list<std::string_view> values) {
  for (const std::string_view value : values) {
    if (text == value) return true;
  }
  return false;
}

// A worker's last words are one line; where a log stands in for them, its last line says why.
std::string LastLine(const std::string& text) {
  const size_t end = text.find_last_not_of(" \t\r\n");
  if (end == std::string::npos) return "";
  const size_t newline = text.find_last_of('\n', end);
  const size_t begin = newline == std::string::npos ? 0 : newline + 1;
  return Shortened(text.substr(begin, end - begin + 1), kLongestCause);
}

std::string WithCause(const std::string& text, const std::string& cause) {
  return cause.empty() ? text : text + ": " + cause;
}

struct Finding {
  bool failing;
  const char* reason;
  std::string text;
};

// REQUIRES: the pod is not ready.
Finding Explain(const PodFacts& pod, WallTime now) {
  if (pod.deleting) return {false, "NotReady", "is stopping"};
  if (IsOneOf(pod.waiting_reason,
              {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})) {
    return {true, "ImageUnavailable",
            WithCause("cannot get its image (" + pod.waiting_reason + "); check spec.image",
                      LastLine(pod.waiting_message))};
  }
  if (IsOneOf(pod.waiting_reason,
              {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})) {
    return {
        true, "ContainerNotStarted",
        WithCause("cannot be started (" + pod.waiting_reason + ")", LastLine(pod.waiting_message))};
  }
  if (pod.exit_code && *pod.exit_code != 0) {
    // Who is killed has no last words: its log ends in the middle.
    const std::string cause = *pod.exit_code == kKilled ? "" : LastLine(pod.exit_message);
    return {true, "WorkerFailed", WithCause(ExitText(*pod.exit_code, pod.exit_reason), cause)};
  }
  if (!pod.unschedulable.empty() &&
      (!pod.unschedulable_since || now - *pod.unschedulable_since >= kUnschedulableGrace)) {
    return {true, "Unschedulable", "fits on no node: " + LastLine(pod.unschedulable)};
  }
  if (pod.node.empty()) return {false, "NotReady", "is not scheduled yet"};
  return {false, "NotReady", pod.running ? "is not ready yet" : "is starting"};
}

}  // namespace

std::string Shortened(const std::string& text, size_t longest) {
  if (text.size() <= longest) return text;
  size_t end = longest;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
    --end;  // inside a character
  return text.substr(0, end) + "...";
}

std::string ExitText(int32_t exit_code, const std::string& reason) {
  if (reason == "OOMKilled") {
    return "was killed because it used more memory than spec.workers.resources.limits.memory "
           "allows";
  }
  const std::string number = " (exit code " + std::to_string(exit_code) + ")";
  if (const ExitMeaning* meaning = FindExitMeaning(exit_code))
    return std::string(meaning->sentence) + number;
  if (exit_code == kKilled) return "was killed" + number;
  if (exit_code > 128 && exit_code < 160)
    return "was ended by signal " + std::to_string(exit_code - 128) + number;
  return "ended unexpectedly" + number;
}

std::optional<WorkerTrouble> WorkerTroubleOf(const Observed& observed, const Situation& situation,
                                             WorkerId worker) {
  const std::string id = "worker " + ToString(worker);
  const auto lost = situation.lost.find(worker);
  if (lost != situation.lost.end()) {
    const bool replace =
        observed.job.job && observed.job.job->failover.lost_node_policy == LostNodePolicy::kReplace;
    return WorkerTrouble{
        .failing = true,
        .reason = "NodeLost",
        .message = id + ": node " + lost->second +
                   " with its pod or its state is gone, out of service or does not answer; " +
                   (replace ? "its state is restored on another node"
                            : "it waits for the node; set spec.failover.lostNode.policy to Replace "
                              "to restore its state "
                              "on another one")};
  }
  const auto found = observed.pods.find(worker);
  if (found == observed.pods.end()) {
    return WorkerTrouble{.reason = "NotReady", .message = id + " has no pod yet"};
  }
  const PodFacts& pod = found->second;
  const std::string who =
      id + " (pod " + pod.name + (pod.node.empty() ? ") " : " on " + pod.node + ") ");
  if (!pod.ready || pod.deleting) {
    const Finding finding = Explain(pod, observed.now);
    WorkerTrouble trouble{
        .failing = finding.failing, .reason = finding.reason, .message = who + finding.text};
    if (trouble.reason == "WorkerFailed") trouble.exit_code = pod.exit_code;
    return trouble;
  }
  if (observed.coordination && !situation.kafka_is_away()) {
    const auto known = observed.coordination->workers.find(worker);
    if (known != observed.coordination->workers.end() &&
        (known->second.standing == WorkerStanding::kSilent ||
         known->second.standing == WorkerStanding::kLost)) {
      return WorkerTrouble{
          .failing = true,
          .reason = "WorkerSilent",
          .message = who + "runs, but no heartbeat of it arrives: check its way to Kafka"};
    }
  }
  return std::nullopt;
}

}  // namespace coho
