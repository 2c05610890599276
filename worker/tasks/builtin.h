// Tasks that come with every worker, so that common jobs need no code.
//
//   count          counts the records of each key; sends (key, running count) for every one, in
//   their order.
//                  config: store = where the counts live (default: the only store), output = topic
//                  (default: the only output)
//   pass-through   sends key and value of every record on; a record without key gets an empty one.
//                  config: output = topic (default: the only output)
#pragma once

namespace coho {

// Makes them known to FindTask. Call it once, before FindTask. (A static library's own registration
// would not be linked in.)
void RegisterBuiltinTasks();

}  // namespace coho
