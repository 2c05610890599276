// What bringing tasks home would cost, by what is known of their copies. Pure.
//
// Of each store the whole is its largest copy, and a copy is behind by what the furthest copy is
// ahead of it, whoever has that one: in records exactly, in bytes as large a part of the whole as
// it is of the changelog's positions. Assumed is that records are alike, and that a changelog
// ends where its furthest copy does; so a cost orders workers, and is no promise. A store of which
// no copy has a position (without changelog, or not looked up yet) is whole where its marker is the
// latest, else of no use. What retention makes of an old copy is not known here.
#pragma once

#include <map>

#include "common/base/ids.h"
#include "common/coordination/planner.h"
#include "common/model/copies.h"

namespace coho {

// The tasks of which there is a copy.
[[nodiscard]] std::map<TaskId, PlannerTask> RestoreCosts(const Copies& copies);

}  // namespace coho
