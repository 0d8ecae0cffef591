#include "steppable_readers.h"

namespace latchclock {
namespace {

using enum ReaderGeneration;

constexpr bool IsCompiled(ReaderProtocol protocol) {
#ifdef STEPPER_ONLY
  return protocol == ReaderProtocol::STEPPER_ONLY;
#else
  return protocol <= ReaderProtocol::kLiteralTwoWindow;
#endif
}

// Reader by reader and not through FindReader, whose switch would need them all.
template <ReaderProtocol kProtocol, template <class, class, class, Words> class Reader>
void Add(const char* name, std::initializer_list<ReaderGeneration> generations,
         std::vector<SteppableReader>* readers) {
  if constexpr (IsCompiled(kProtocol)) {
    for (const ReaderGeneration generation : generations) {
      for (const bool wide : {false, true}) {
        const auto read = reader_table::Choose<Reader, HardwareCounter, Words::kNeeded>(generation, wide);
        readers->push_back({kProtocol, name, generation, wide, read});
      }
    }
  }
}

}  // namespace

std::vector<SteppableReader> SteppableReaders() {
  using enum ReaderProtocol;
  std::vector<SteppableReader> readers;
  Add<kSeqlock, SeqlockReader>("seqlock", {kNone, kTagged}, &readers);
  Add<kLatch, LatchReader>("latch", {kNone, kTagged}, &readers);
  Add<kLatchWindow, LatchWindowReader>("latch-window", {kNone, kTagged, kUntagged}, &readers);
  Add<kTwoWindow, TwoWindowReader>("two-window", {kNone, kTagged}, &readers);
  Add<kLiteralLatchWindow, LiteralLatchWindowReader>("literal-latch-window", {kNone}, &readers);
  Add<kLiteralTwoWindow, LiteralTwoWindowReader>("literal-two-window", {kNone}, &readers);
  return readers;
}

}  // namespace latchclock
