// A worker whose task never comes back from a record that says so, and fails one that says that.
#include <chrono>
#include <cstdio>
#include <thread>

#include "worker/sdk/coho.h"

namespace {

class Hang final : public coho::StreamTask {
  coho::Status Process(const coho::Envelope& in, coho::Collector& out) override {
    if (in.value() == "hang") {
      std::fputs("the task hangs\n", stderr);
      std::this_thread::sleep_for(std::chrono::hours(1));
    }
    if (in.value() == "throw") return coho::InvalidRecord("as asked");
    if (in.value() == "number") return out.Send("nowhere", in.key(), in.value_int64());
    return coho::Status::Ok();
  }
};
COHO_REGISTER_TASK("hang", Hang);

}  // namespace

int main(int argc, char** argv) { return coho::WorkerMain(argc, argv); }
