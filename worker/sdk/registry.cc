#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/sdk/task.h"

namespace coho {

namespace {

// A function's static: tasks register before main, in no known order.
std::map<std::string, TaskFactory, std::less<>>& Registry() {
  static std::map<std::string, TaskFactory, std::less<>> registry;
  return registry;
}

}  // namespace

bool RegisterTask(std::string name, TaskFactory factory) {
  const auto [it, inserted] = Registry().try_emplace(std::move(name), std::move(factory));
  if (!inserted) {
    // Before main: there is no log and no caller that could take a Status.
    std::fprintf(stderr,
                 "task \"%s\" is registered twice; give each task class a name of its own\n",
                 it->first.c_str());
    std::abort();
  }
  return true;
}

const TaskFactory* FindTask(std::string_view name) {
  const auto it = Registry().find(name);
  return it == Registry().end() ? nullptr : &it->second;
}

std::vector<std::string> RegisteredTasks() {
  std::vector<std::string> names;
  for (const auto& [name, factory] : Registry()) names.push_back(name);
  return names;
}

}  // namespace coho
