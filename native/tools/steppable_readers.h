#pragma once

#include <vector>

#include "clock_page_reader.h"

namespace latchclock {

// A compiled reader of the matrix, as its users call it.
struct SteppableReader {
  ReaderProtocol protocol;
  const char* protocol_name;
  ReaderGeneration generation;
  bool wide;
  ReadFunction<HardwareCounter> read;
};

// Every reader that was compiled in: all, or those of the protocol STEPPER_ONLY (an enumerator of
// ReaderProtocol), so that a changed copy of one reader is compiled in seconds.
std::vector<SteppableReader> SteppableReaders();

}  // namespace latchclock
