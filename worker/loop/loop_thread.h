// A thread around a run loop, from the constructor until the loop ended.
//
// Thread rule: any thread.
#pragma once

#include <thread>
#include <utility>

#include "worker/loop/run_loop.h"

namespace coho {

class LoopThread {
 public:
  explicit LoopThread(RunLoop::Options options)
      : loop_(std::move(options)), thread_([this] {
          while (!loop_.ended()) {
            if (const Duration wait = loop_.Turn(); wait > Duration::zero())
              loop_.WaitForMessage(wait);
          }
          loop_.Close();
        }) {}
  ~LoopThread() { End(); }
  // Waits for the thread; the loop can still be asked for its status.
  void End() {
    if (!thread_.joinable()) return;
    loop_.GiveUp();
    loop_.Drain();  // wakes it
    thread_.join();
  }
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  [[nodiscard]] RunLoop& loop() { return loop_; }
  [[nodiscard]] const RunLoop& loop() const { return loop_; }

 private:
  RunLoop loop_;
  std::thread thread_;  // last: starts when everything else is there
};

}  // namespace coho
