// A worker with tasks that are hard on it: "hang" never comes back from a record that says so, and
// fails one that says that; "keep" stores values as large as its records say, and "tired" sleeps
// for as many seconds, once.
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <utility>

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

class Keep final : public coho::StreamTask {
  coho::Status Init(coho::TaskContext& context) override {
    output_ = context.outputs().front();
    return context.OpenStore("kept", &kept_);
  }
  coho::Status Process(const coho::Envelope& in, coho::Collector& out) override {
    kept_.Put(in.key(), std::string(std::stoul(std::string(in.value())), 'v'));
    return out.Send(output_, in.key(), in.value());
  }
  std::string output_;
  coho::KeyValueStore<std::string_view, std::string> kept_;
};
COHO_REGISTER_TASK("keep", Keep);

class Tired final : public coho::StreamTask {
  coho::Status Init(coho::TaskContext& context) override {
    output_ = context.outputs().front();
    return coho::Status::Ok();
  }
  coho::Status Process(const coho::Envelope& in, coho::Collector& out) override {
    static bool rested = false;
    const int seconds = std::stoi(std::string(in.value()));
    if (seconds > 0 && !std::exchange(rested, true))
      std::this_thread::sleep_for(std::chrono::seconds(seconds));
    return out.Send(output_, in.key(), in.value());
  }
  std::string output_;
};
COHO_REGISTER_TASK("tired", Tired);

}  // namespace

int main(int argc, char** argv) { return coho::WorkerMain(argc, argv); }
