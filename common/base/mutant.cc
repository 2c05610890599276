// Compiled into simulation builds only (COHO_MUTANTS).
#include "common/base/mutant.h"

#include <map>
#include <mutex>

namespace coho::mutants {
namespace {

// Leaked, so that it outlives every static object that may still ask.
struct Registry {
  std::mutex mutex;
  std::map<std::string, int, std::less<>> mutants;
  int on = -1;
  std::map<std::string, int, std::less<>> names;
  std::vector<Sighting> sightings;
};

Registry& Global() {
  static auto* registry = new Registry;
  return *registry;
}

}  // namespace

int MutantNumber(std::string_view name) {
  Registry& registry = Global();
  const std::lock_guard lock(registry.mutex);
  return registry.mutants.try_emplace(std::string(name), static_cast<int>(registry.mutants.size()))
      .first->second;
}

bool MutantIsOn(int number) { return Global().on == number; }

void SwitchOn(std::string_view name) { Global().on = name.empty() ? -1 : MutantNumber(name); }

int SightingNumber(std::string_view name) {
  Registry& registry = Global();
  const std::lock_guard lock(registry.mutex);
  const auto [it, is_new] =
      registry.names.try_emplace(std::string(name), static_cast<int>(registry.sightings.size()));
  if (is_new) registry.sightings.push_back({.name = std::string(name), .times = 0});
  return it->second;
}

void Sighted(int number) { ++Global().sightings[static_cast<size_t>(number)].times; }

std::vector<Sighting> Sightings() { return Global().sightings; }

}  // namespace coho::mutants
