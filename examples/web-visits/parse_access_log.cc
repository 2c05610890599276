// Task `parse-access-log`: reads lines of a web server's log in combined format, re-keys them by
// client address, and sends the fields as JSON. A line that is no combined-log line is an invalid
// record: spec.processing.onError says what becomes of it.
#include <coho/coho.h>

#include "combined_log.h"

class ParseAccessLog final : public coho::StreamTask {
  coho::Status Process(const coho::Envelope& in, coho::Collector& out) override {
    const auto line = ParseCombinedLogLine(in.value());  // views into the record, no copy
    if (!line) return coho::InvalidRecord("not a combined-log line: " + line.error);
    return out.Send("requests-by-client", line.client, AsJson(line));
  }
};
COHO_REGISTER_TASK("parse-access-log", ParseAccessLog);

int main(int argc, char** argv) { return coho::WorkerMain(argc, argv); }
