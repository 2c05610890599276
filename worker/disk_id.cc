#include "worker/disk_id.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <random>
#include <system_error>

namespace coho {
namespace {

// A random UUID.
std::string NewId() {
  std::random_device random;
  std::array<uint32_t, 4> words{};
  for (uint32_t& word : words) word = random();
  words[1] = (words[1] & 0xffff0fffU) | 0x4000U;
  words[2] = (words[2] & 0x3fffffffU) | 0x80000000U;
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%08x-%04x-%04x-%04x-%04x%08x", words[0], words[1] >> 16,
                words[1] & 0xffffU, words[2] >> 16, words[2] & 0xffffU, words[3]);
  return text.data();
}

bool IsId(const std::string& text) {
  return text.size() == 36 && text.find_first_not_of("0123456789abcdef-") == std::string::npos;
}

// With fsync, of a directory, too.
int Sync(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  return error;
}

int WriteDurably(const std::string& directory, const std::string& file, const std::string& text) {
  const std::string path = directory + "/" + file;
  const std::string unfinished = path + ".new";
  {
    std::ofstream out(unfinished, std::ios::trunc);
    out << text << "\n";
    if (!out.flush()) return EIO;
  }
  if (const int error = Sync(unfinished)) return error;
  if (std::rename(unfinished.c_str(), path.c_str()) != 0) return errno;
  return Sync(directory);
}

}  // namespace

Result<std::string> DiskIdOf(const std::string& directory) {
  constexpr char kFile[] = "disk-id";
  std::string id;
  if (std::ifstream(directory + "/" + kFile) >> id && IsId(id)) return id;
  id = NewId();
  if (const int error = WriteDurably(directory, kFile, id)) {
    return InvalidArgument("state directory " + directory +
                           " cannot be written: " + std::generic_category().message(error));
  }
  return id;
}

}  // namespace coho
