// Proof that a guard is needed: the simulation is built from the same sources with COHO_MUTANTS
// defined, takes one guard away at a time, and must notice. In every other build a mutant is the
// constant false and a sighting is nothing.
//
//   if (!COHO_MUTANT("ack-without-proof") && !proven) return;      the guard is gone while the
//   mutant is on COHO_SOMETIMES("fence failed, then the worker returned");      some seed must come
//   by here, or the simulation fails
//
// Names are string literals, unique in the tree. Thread rule (simulation builds): any thread;
// switching, while nothing runs.
#pragma once

#ifdef COHO_MUTANTS

#include <string>
#include <string_view>
#include <vector>

namespace coho::mutants {

// The number of a name, the same for each mention of it.
[[nodiscard]] int MutantNumber(std::string_view name);
[[nodiscard]] bool MutantIsOn(int number);
// One at a time; an empty name switches all off.
void SwitchOn(std::string_view name);
[[nodiscard]] int SightingNumber(std::string_view name);
void Sighted(int number);
// How often each place was passed since the process began.
struct Sighting {
  std::string name;
  unsigned long times = 0;
};
[[nodiscard]] std::vector<Sighting> Sightings();

}  // namespace coho::mutants

#define COHO_MUTANT(name)                                                      \
  ([]() -> bool {                                                              \
    static const int coho_mutant_number = ::coho::mutants::MutantNumber(name); \
    return ::coho::mutants::MutantIsOn(coho_mutant_number);                    \
  }())
#define COHO_SOMETIMES(name)                                                       \
  do {                                                                             \
    static const int coho_sighting_number = ::coho::mutants::SightingNumber(name); \
    ::coho::mutants::Sighted(coho_sighting_number);                                \
  } while (false)

#else

#define COHO_MUTANT(name) false
#define COHO_SOMETIMES(name) static_cast<void>(0)

#endif
