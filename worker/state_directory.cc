#include "worker/state_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "worker/disk_id.h"

namespace coho {
namespace {

std::string HolderOf(const std::string& lock_path) {
  std::ifstream in(lock_path);
  std::string pid;
  return in >> pid ? "process " + pid : "another process";
}

Status NotWritable(const std::string& path, const std::string& why) {
  return InvalidArgument("state directory " + path + " cannot be written: " + why +
                         "; choose another with --state-dir");
}

}  // namespace

Result<std::unique_ptr<StateDirectory>> StateDirectory::Open(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return NotWritable(path, error.message());
  const std::string absolute = std::filesystem::absolute(path, error).lexically_normal().string();
  if (error) return NotWritable(path, error.message());
  const std::string lock_path = absolute + "/lock";
  const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0) return NotWritable(absolute, std::generic_category().message(errno));
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    const bool held = errno == EWOULDBLOCK;
    const std::string why = std::generic_category().message(errno);
    ::close(lock);
    if (!held) return NotWritable(absolute, "locking it: " + why);
    return Conflict("state directory " + absolute + " is in use by " + HolderOf(lock_path) +
                    "; stop it, or choose another with --state-dir");
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock, 0) != 0 ||
      ::pwrite(lock, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    const std::string why = std::generic_category().message(errno);
    ::close(lock);
    return NotWritable(absolute, why);
  }
  auto disk_id = DiskIdOf(absolute);
  if (!disk_id.ok()) {
    ::close(lock);
    return disk_id.status();
  }
  return std::unique_ptr<StateDirectory>(
      new StateDirectory(absolute, std::move(disk_id).value(), lock));
}

StateDirectory::~StateDirectory() { ::close(lock_); }

}  // namespace coho
