#pragma once

#include <cstdint>
#include <memory>

#include "status.h"

namespace latchclock {

// Page files that a process can have mapped at once.
inline constexpr int kMostPageFiles = 4096;

// A clock page in memory: 4096 bytes that stay readable for as long as this object lives, whatever becomes of
// the file behind them. A file that is cut to nothing while it is mapped would raise SIGBUS in whoever
// touches the page: a handler then puts a page of zeros in its place, which every reader refuses, and IsLost
// tells. The handler is installed with the first file that is mapped, and passes on what is not ours. A file
// that is cut to any other size raises nothing, and the page has zeros from there on: docs/clock-page.md, A
// file that is cut short.
class PageMapping {
 public:
  PageMapping(const PageMapping&) = delete;
  PageMapping& operator=(const PageMapping&) = delete;
  ~PageMapping();

  // Shared with the children of this process only.
  static Outcome Anonymous(std::shared_ptr<PageMapping>* mapping);
  // A memfd of the page's size, sealed against changes of it; `file_descriptor` belongs to the caller.
  static Outcome Memfd(std::shared_ptr<PageMapping>* mapping, int* file_descriptor);
  // An open file, which must have the page's size now.
  static Outcome File(int file_descriptor, bool writable, std::shared_ptr<PageMapping>* mapping);

  uint8_t* bytes() const { return bytes_; }
  bool writable() const { return writable_; }
  // True once the file behind the page was found cut short.
  bool IsLost() const;
  // Looks at the size of the file behind the page, if it may be written to and can be cut short: one system
  // call. Then as IsLost.
  bool LooksLost() const;

 private:
  PageMapping() = default;
  Outcome Map(int file_descriptor, int flags, bool writable);

  uint8_t* bytes_ = nullptr;
  bool writable_ = false;
  int guard_ = -1;
  int file_descriptor_ = -1;  // of a file that can be cut short, where the page is writable
};

// Takes the lock (flock) of an open file, for as long as its description is open anywhere; `locked` is false
// where another open description has it. Whoever writes a page holds its file's lock: it dies with the
// process.
Outcome LockFile(int file_descriptor, bool* locked);

}  // namespace latchclock
