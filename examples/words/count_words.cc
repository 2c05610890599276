#include <coho/coho.h>

class CountWords final : public coho::StreamTask {
  coho::Status Init(coho::TaskContext& context) override {
    return context.OpenStore("words", &words_);
  }
  coho::Status Process(const coho::Envelope& in, coho::Collector& out) override {
    const int64_t count = words_.Get(in.key()).value_or(0) + 1;
    words_.Put(in.key(), count);
    return out.Send("word-counts", in.key(), count);
  }
  coho::KeyValueStore<std::string_view, int64_t> words_;
};
COHO_REGISTER_TASK("count-words", CountWords);

int main(int argc, char** argv) { return coho::WorkerMain(argc, argv); }
