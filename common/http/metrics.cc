#include "common/http/metrics.h"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace coho::http {

Handler MetricsHandler(std::vector<std::shared_ptr<prometheus::Collectable>> sources) {
  return [sources = std::move(sources)](const Request&) {
    std::vector<prometheus::MetricFamily> families;
    for (const auto& source : sources) {
      std::vector<prometheus::MetricFamily> more = source->Collect();
      std::move(more.begin(), more.end(), std::back_inserter(families));
    }
    std::erase_if(families, [](const prometheus::MetricFamily& f) { return f.metric.empty(); });
    std::sort(families.begin(), families.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return Response{.content_type = "text/plain; version=0.0.4; charset=utf-8",
                    .body = prometheus::TextSerializer().Serialize(families)};
  };
}

}  // namespace coho::http
