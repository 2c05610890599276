// Takes a variant apart completely: std::visit(Overloaded{[](const A&) {…}, [](const B&) {…}}, v)
// does not compile when an alternative is missing, so that a new action or event cannot fall into
// somebody's `else`.
#pragma once

namespace coho {

template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <class... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

}  // namespace coho
