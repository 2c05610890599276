// Exit codes of a worker, by the numbers of sysexits(3). Each non-zero exit is preceded by one line that says why.
#pragma once

namespace coho {

enum ExitCode : int {
  kExitOk = 0,
  kExitInternal = 1,           // a defect of Coho
  kExitUsage = 64,             // wrong flags
  kExitJobFile = 65,           // the job file is broken, or names an unknown task
  kExitKafkaUnavailable = 69,  // no broker answers, or a topic is missing
  kExitTaskFailed = 70,        // user code failed a record with onError: Fail, or failed in Init
  kExitStateDirectory = 73,    // the state directory cannot be written
  kExitStore = 74,             // the state directory's disk fails
  kExitStateDirectoryLocked = 75,  // another process uses it
  kExitKafkaCredentials = 77,      // Kafka refuses our credentials
};

}  // namespace coho
