#include "clock_page.h"

#include <cstring>

#include "../core/clock_page_set.h"
#include "../core/clock_page_writer.h"
#include "binding.h"
#include "reading_function.h"

namespace latchclock::binding {
namespace {

constexpr napi_type_tag kMemoryTag = {0x6c617463682d636c, 0x6f636b2d70616765};

// A clock page in memory, shared with JavaScript as an ArrayBuffer. The mapping lives for as long as the
// object, the buffer or a function that reads it does.
class ClockPageMemory : public Napi::ObjectWrap<ClockPageMemory> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "ClockPageMemory",
                       {
                           InstanceMethod<&ClockPageMemory::Buffer>("buffer"),
                           InstanceMethod<&ClockPageMemory::Copy>("copy"),
                           InstanceMethod<&ClockPageMemory::FileDescriptor>("fileDescriptor"),
                           InstanceMethod<&ClockPageMemory::IsLost>("isLost"),
                           InstanceMethod<&ClockPageMemory::Close>("close"),
                       });
  }

  // new ClockPageMemory('anonymous' 0 | 'memfd' 1 | 'file' 2, fileDescriptor, writable)
  explicit ClockPageMemory(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ClockPageMemory>(info) {
    if (Value().IsEmpty()) return;
    Arguments arguments(info, "ClockPageMemory");
    const int64_t kind = arguments.Integer(0, "kind", 0, 2);
    const auto file = static_cast<int>(arguments.Integer(1, "fileDescriptor", -1, INT32_MAX));
    const bool writable = arguments.Boolean(2, "writable");
    if (!arguments.ok()) return;
    Outcome outcome;
    if (kind == 0) outcome = PageMapping::Anonymous(&mapping_);
    if (kind == 1) outcome = PageMapping::Memfd(&mapping_, &file_descriptor_);
    if (kind == 2) outcome = PageMapping::File(file, writable, &mapping_);
    if (!Succeeded(info.Env(), outcome, arguments.function())) return;
    napi_type_tag_object(info.Env(), Value(), &kMemoryTag);
  }

  // Null, with an exception pending, once the page is closed.
  std::shared_ptr<PageMapping> mapping(Napi::Env env, const char* where) const {
    if (!mapping_) ThrowError(env, "ERR_BAD_ARGUMENT", "the page is closed", where);
    return mapping_;
  }

 private:
  Napi::Value Buffer(const Napi::CallbackInfo& info) {
    if (!mapping(info.Env(), "buffer")) return {};
    if (!buffer_.IsEmpty()) return buffer_.Value();
    // JavaScript has no buffers that cannot be stored to: a store would end the process.
    if (!mapping_->writable()) {
      ThrowError(info.Env(), "ERR_BAD_ARGUMENT", "the page is mapped for reading only", "buffer");
      return {};
    }
    auto* held = new std::shared_ptr<PageMapping>(mapping_);
    auto buffer = Napi::ArrayBuffer::New(
        info.Env(), mapping_->bytes(), clock_page::kBytes,
        [](Napi::Env, void*, std::shared_ptr<PageMapping>* kept) { delete kept; }, held);
    // Whoever takes it away (transfer) has it: it is made once, and never freed before the mapping.
    if (!buffer.IsEmpty()) buffer_ = Napi::Persistent(buffer);
    return buffer;
  }

  // The page's bytes as they are now, word by word: a writer may change them meanwhile.
  Napi::Value Copy(const Napi::CallbackInfo& info) {
    if (!mapping(info.Env(), "copy")) return {};
    auto bytes = Napi::Uint8Array::New(info.Env(), clock_page::kBytes);
    if (bytes.IsEmpty()) return {};
    for (uint32_t at = 0; at < clock_page::kBytes; at += sizeof(uint64_t)) {
      const uint64_t word = LoadWord(mapping_->bytes(), at);
      std::memcpy(bytes.Data() + at, &word, sizeof word);
    }
    return bytes;
  }

  // Of a memfd, and then the caller's to close; else -1.
  Napi::Value FileDescriptor(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), file_descriptor_);
  }

  Napi::Value IsLost(const Napi::CallbackInfo& info) {
    if (!mapping(info.Env(), "isLost")) return {};
    return Napi::Boolean::New(info.Env(), mapping_->IsLost());
  }

  // Takes the page out of memory, as soon as no clock reads it any longer. The buffer has no bytes
  // afterwards.
  void Close(const Napi::CallbackInfo& info) {
    if (!buffer_.IsEmpty()) {
      if (napi_detach_arraybuffer(info.Env(), buffer_.Value()) != napi_ok) {
        ThrowError(info.Env(), "ERR_BAD_ARGUMENT", "the page's buffer cannot be taken back", "close");
        return;
      }
      buffer_.Reset();
    }
    mapping_.reset();
  }

  std::shared_ptr<PageMapping> mapping_;
  int file_descriptor_ = -1;
  Napi::Reference<Napi::ArrayBuffer> buffer_;
};

constexpr napi_type_tag kReaderTag = {0x6c617463682d636c, 0x6f636b2d72656164};

// What reads a page: for as long as it is not closed, the page stays mapped.
struct PageReader : ReadingInto {
  std::shared_ptr<PageMapping> mapping;
};

// The page that the reader reads; null, with an exception pending, once it is closed.
const uint8_t* PageOf(napi_env env, const PageReader& reader, const char* where) {
  if (__builtin_expect(reader.mapping != nullptr, 1)) return reader.mapping->bytes();
  ThrowError(Napi::Env(env), "ERR_BAD_ARGUMENT", "the clock is closed", where);
  return nullptr;
}

struct PageClockReader : PageReader {
  ReadFunction<HardwareCounter> read;
  ClockSlot slot;
  OutOfWindow policy;
  clockid_t fallback;
};

// JavaScript has one thread to wait in: some tens of milliseconds, longer than a writer is descheduled for.
constexpr ReadLimits kPatience = {.most_tries = 1u << 18, .most_spins = 1u << 20};

napi_value ReadPageInto(napi_env env, napi_callback_info info) {
  const auto& reader = ReaderOf<PageClockReader>(env, info);
  const uint8_t* page = PageOf(env, reader, "now");
  if (page == nullptr) return nullptr;
  const auto once = [&](int64_t* ns) {
    ClockReading reading;
    uint64_t retries = 0;
    const ReadEnd end =
        reader.read(page, reader.slot, page + clock_page::kGenerationAt, {}, kPatience, &reading, &retries);
    *ns = reading.ns;
    return end;
  };
  int64_t ns = 0;
  bool asked_kernel = false;
  const Outcome outcome = ReadWithPolicy(
      once, [&] { return reader.mapping->IsLost(); }, reader.policy, reader.fallback, &ns, &asked_kernel);
  if (__builtin_expect(!outcome.ok(), 0)) {
    ThrowOutcome(Napi::Env(env), outcome, "now");
    return nullptr;
  }
  reader.out[0] = ns;
  reader.out[1] = asked_kernel;
  return nullptr;
}

ClockSlot SlotAt(Arguments* arguments, size_t index) {
  return kClockSlots[arguments->Integer(index, "clock", 0, kClockSlotCount - 1)];
}

// clockPageReader(memory, protocol, generation, wide, clock, policy, fallbackClockId, out) => () => void
// out[0]: the value, ns; out[1]: 1 if the kernel was asked
Napi::Value MakeClockPageReader(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "clockPageReader");
  auto reader = std::make_unique<PageClockReader>();
  const ReaderKind kind = ReaderKindAt(&arguments, 1);
  reader->slot = SlotAt(&arguments, 4);
  reader->policy = static_cast<OutOfWindow>(arguments.Integer(5, "policy", 0, kOutOfWindowPolicies - 1));
  reader->fallback = static_cast<clockid_t>(arguments.Integer(6, "fallbackClockId", INT32_MIN, INT32_MAX));
  size_t room = 0;
  reader->out = arguments.Words64(7, "out", &room);
  if (!arguments.ok()) return {};
  if (room < 2) {
    ThrowError(info.Env(), "ERR_BAD_ARGUMENT", "the argument out has no room for two words",
               arguments.function());
    return {};
  }
  reader->mapping = MappingOf(info[0], arguments.function());
  if (!reader->mapping) return {};
  if (!Succeeded(info.Env(), CheckCounter(CounterMethod::kFencedRdtsc), arguments.function())) return {};
  reader->read = FindReader(kind);
  return MakeReadingFunction(info.Env(), std::move(reader), info[7], ReadPageInto, arguments.function(),
                             &kReaderTag);
}

struct PageSetReader : PageReader {
  ReaderKind kind;
  ReadFunction<HardwareCounter> read;
  uint32_t clocks;
  OutOfWindow policy;
};

// What a set is told in: cycles, generation, bound, and the clocks by their numbers.
constexpr size_t kSetWords = 3 + kClockSlotCount;

void TellSet(const SetReading& set, int64_t* out) {
  out[0] = static_cast<int64_t>(set.cycles);
  out[1] = static_cast<int64_t>(set.generation);
  out[2] = set.bound_ns;
  std::memcpy(out + 3, set.ns, sizeof set.ns);
}

napi_value ReadPageSetInto(napi_env env, napi_callback_info info) {
  const auto& reader = ReaderOf<PageSetReader>(env, info);
  const uint8_t* page = PageOf(env, reader, "read");
  if (page == nullptr) return nullptr;
  SetReading set;
  const auto once = [&](int64_t*) {
    uint64_t retries = 0;
    return ReadSet<HardwareCounter>(reader.read, reader.kind, page, reader.clocks,
                                    page + clock_page::kGenerationAt, {}, kPatience, &set, &retries);
  };
  int64_t unused = 0;
  bool asked_kernel = false;
  const Outcome outcome = ReadWithPolicy(
      once, [&] { return reader.mapping->IsLost(); }, reader.policy, 0, &unused, &asked_kernel);
  if (__builtin_expect(!outcome.ok(), 0)) {
    ThrowOutcome(Napi::Env(env), outcome, "read");
    return nullptr;
  }
  TellSet(set, reader.out);
  return nullptr;
}

// The kind of a reader that can give a set: the literal ones cannot.
ReaderKind SetKindAt(Arguments* arguments, size_t index) {
  arguments->Integer(index, "protocol", 0, static_cast<int64_t>(ReaderProtocol::kTwoWindow));
  return ReaderKindAt(arguments, index);
}

// clockPageSetReader(memory, protocol, generation, wide, policySpin, out) => () => void
Napi::Value MakeClockPageSetReader(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "clockPageSetReader");
  auto reader = std::make_unique<PageSetReader>();
  reader->kind = SetKindAt(&arguments, 1);
  reader->policy = arguments.Boolean(4, "policySpin") ? OutOfWindow::kSpin : OutOfWindow::kError;
  size_t room = 0;
  reader->out = arguments.Words64(5, "out", &room);
  if (!arguments.ok()) return {};
  if (room < kSetWords) {
    ThrowError(info.Env(), "ERR_BAD_ARGUMENT", "the argument out has no room for the words of a set",
               arguments.function());
    return {};
  }
  reader->mapping = MappingOf(info[0], arguments.function());
  if (!reader->mapping) return {};
  reader->clocks = ClocksOf(reader->mapping->bytes());
  if (reader->clocks == 0) {
    // Zeros: the file behind it was cut short, or the header was never written.
    const Status status = reader->mapping->IsLost() ? Status::kPageLost : Status::kUnpublished;
    ThrowOutcome(info.Env(), Outcome::Failed(status), arguments.function());
    return {};
  }
  if (!Succeeded(info.Env(), CheckCounter(CounterMethod::kFencedRdtsc), arguments.function())) return {};
  reader->read = FindReader(reader->kind);
  return MakeReadingFunction(info.Env(), std::move(reader), info[5], ReadPageSetInto, arguments.function(),
                             &kReaderTag);
}

// closePageReader(read): what a clockPageReader or a clockPageSetReader is for, given back at once
void ClosePageReader(const Napi::CallbackInfo& info) {
  // Both kinds begin with what is closed.
  auto* reader = ReaderIn<PageReader>(info[0], kReaderTag);
  if (reader == nullptr) {
    ThrowError(info.Env(), "ERR_BAD_ARGUMENT", "the argument read is no reader of a page", "closePageReader");
    return;
  }
  reader->mapping.reset();
}

// A counter that stands where it was put.
struct GivenCounter {
  uint64_t cycles;
  uint64_t Read() const { return cycles; }
};

void SetBigint(Napi::Object object, const char* name, uint64_t value) {
  object.Set(name, Napi::BigInt::New(object.Env(), value));
}

// readClockPageAt(bytes, protocol, generation, wide, clock, cycles, unsetNs, mostTries, mostSpins) => reading
Napi::Value ReadClockPageAt(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "readClockPageAt");
  const uint8_t* bytes = arguments.Bytes(0, "bytes", clock_page::kBytes);
  const ReaderKind kind = ReaderKindAt(&arguments, 1);
  const ClockSlot slot = SlotAt(&arguments, 4);
  const uint64_t cycles = arguments.Unsigned64(5, "cycles");
  ClockReading reading;
  reading.ns = static_cast<int64_t>(arguments.Unsigned64(6, "unsetNs"));
  ReadLimits limits;
  limits.most_tries = static_cast<uint32_t>(arguments.Integer(7, "mostTries", 1, 1 << 20));
  limits.most_spins = static_cast<uint32_t>(arguments.Integer(8, "mostSpins", 1, 1 << 20));
  if (!arguments.ok()) return {};
  // Words of a page lie at multiples of their size; a Uint8Array may start anywhere.
  alignas(64) uint8_t page[clock_page::kBytes];
  std::memcpy(page, bytes, sizeof page);
  uint64_t retries = 0;
  const ReadEnd end = FindReader<GivenCounter>(kind)(page, slot, page + clock_page::kGenerationAt, {cycles},
                                                     limits, &reading, &retries);
  auto result = Napi::Object::New(info.Env());
  result.Set("end", Napi::Number::New(info.Env(), static_cast<double>(end)));
  result.Set("ns", Napi::BigInt::New(info.Env(), reading.ns));
  SetBigint(result, "count", reading.count);
  SetBigint(result, "generation", reading.generation);
  SetCount(result, "retries", retries);
  return result;
}

// readClockPageSetAt(bytes, protocol, generation, wide, clocks, cycles, mostTries, mostSpins) => set
Napi::Value ReadClockPageSetAt(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "readClockPageSetAt");
  const uint8_t* bytes = arguments.Bytes(0, "bytes", clock_page::kBytes);
  const ReaderKind kind = SetKindAt(&arguments, 1);
  const auto clocks = static_cast<uint32_t>(arguments.Integer(4, "clocks", 1, kAllClocks));
  const uint64_t cycles = arguments.Unsigned64(5, "cycles");
  ReadLimits limits;
  limits.most_tries = static_cast<uint32_t>(arguments.Integer(6, "mostTries", 1, 1 << 20));
  limits.most_spins = static_cast<uint32_t>(arguments.Integer(7, "mostSpins", 1, 1 << 20));
  if (!arguments.ok()) return {};
  alignas(64) uint8_t page[clock_page::kBytes];
  std::memcpy(page, bytes, sizeof page);
  SetReading set;
  uint64_t retries = 0;
  const ReadEnd end =
      ReadSet<GivenCounter>(FindReader<GivenCounter>(kind), kind, page, clocks,
                            page + clock_page::kGenerationAt, {cycles}, limits, &set, &retries);
  auto words = Napi::BigInt64Array::New(info.Env(), kSetWords);
  if (words.IsEmpty()) return {};
  TellSet(set, words.Data());
  auto result = Napi::Object::New(info.Env());
  result.Set("end", Napi::Number::New(info.Env(), static_cast<double>(end)));
  result.Set("words", words);
  SetCount(result, "retries", retries);
  return result;
}

// readVmclockAt(bytes, cycles, mostSpins) => reading
Napi::Value ReadVmclockAt(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "readVmclockAt");
  const uint8_t* bytes = arguments.Bytes(0, "bytes", clock_page::kBytes);
  const uint64_t cycles = arguments.Unsigned64(1, "cycles");
  const auto most_spins = static_cast<uint32_t>(arguments.Integer(2, "mostSpins", 1, 1 << 20));
  if (!arguments.ok()) return {};
  alignas(64) uint8_t page[clock_page::kBytes];
  std::memcpy(page, bytes, sizeof page);
  VmclockReading reading;
  uint64_t retries = 0;
  const ReadEnd end = ReadVmclock(page, GivenCounter{cycles}, most_spins, &reading, &retries);
  auto result = Napi::Object::New(info.Env());
  result.Set("end", Napi::Number::New(info.Env(), static_cast<double>(end)));
  SetBigint(result, "seconds", reading.seconds);
  SetBigint(result, "fraction", reading.fraction);
  SetBigint(result, "disruptionMarker", reading.disruption_marker);
  SetCount(result, "retries", retries);
  return result;
}

// readPvclockAt(bytes, cycles, mostSpins) => reading
Napi::Value ReadPvclockAt(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "readPvclockAt");
  const uint8_t* bytes = arguments.Bytes(0, "bytes", pvclock::kReadBytes);
  const uint64_t cycles = arguments.Unsigned64(1, "cycles");
  const auto most_spins = static_cast<uint32_t>(arguments.Integer(2, "mostSpins", 1, 1 << 20));
  if (!arguments.ok()) return {};
  alignas(64) uint8_t page[pvclock::kReadBytes];
  std::memcpy(page, bytes, sizeof page);
  PvclockReading reading;
  uint64_t retries = 0;
  const ReadEnd end = ReadPvclock(page, GivenCounter{cycles}, most_spins, &reading, &retries);
  auto result = Napi::Object::New(info.Env());
  result.Set("end", Napi::Number::New(info.Env(), static_cast<double>(end)));
  SetBigint(result, "ns", reading.ns);
  SetCount(result, "retries", retries);
  return result;
}

constexpr size_t kImageWords = 26;

// The words of an image as they are stored, in that order.
CopyImage ImageOf(const int64_t* words) {
  const auto next = [&] { return static_cast<uint64_t>(*words++); };
  const auto group = [&] {
    GroupWords group;
    group.shift = next() & ~clock_page::kWritten;
    group.mult = next();
    group.fraction = next();
    return group;
  };
  CopyImage image;
  image.base = next();
  image.max_delta = next();
  image.tag = next();
  image.shared = group();
  image.monotonic = static_cast<int64_t>(next());
  image.boottime = static_cast<int64_t>(next());
  image.tai = static_cast<int64_t>(next());
  image.sane = static_cast<int64_t>(next());
  image.realtime = group();
  image.realtime_whole = static_cast<int64_t>(next());
  image.smeared = group();
  image.smeared_whole = static_cast<int64_t>(next());
  image.raw = group();
  image.raw_whole = static_cast<int64_t>(next());
  image.bound = group();
  image.bound_whole = static_cast<int64_t>(next());
  return image;
}

// publishClockPage(memory, protocol, words, keep, overlap, keptFirst): one update by the native writer
void PublishClockPage(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "publishClockPage");
  const auto protocol = static_cast<ReaderProtocol>(
      arguments.Integer(1, "protocol", 0, static_cast<int64_t>(ReaderProtocol::kTwoWindow)));
  size_t length = 0;
  const int64_t* words = arguments.Words64(2, "words", &length);
  const auto keep = static_cast<uint64_t>(arguments.Integer(3, "keep", 0, 1));
  const bool overlap = arguments.Boolean(4, "overlap");
  const bool kept_first = arguments.Boolean(5, "keptFirst");
  if (!arguments.ok()) return;
  const auto mapping = MappingOf(info[0], arguments.function());
  if (!mapping) return;
  if (length != kImageWords || !mapping->writable()) {
    ThrowError(info.Env(), "ERR_BAD_ARGUMENT", "the words are not those of a copy, or the page is read-only",
               arguments.function());
    return;
  }
  const CopyImage image = ImageOf(words);
  // What readers rely on is kept by whoever writes: they do not look.
  if (!IsWithinBounds(image, NarrowIsKept(mapping->bytes()))) {
    ThrowError(info.Env(), "ERR_BAD_ARGUMENT", "the words are outside the bounds of docs/clock-page.md",
               arguments.function());
    return;
  }
  switch (protocol) {
    case ReaderProtocol::kSeqlock:
      PublishSeqlock(mapping->bytes(), [&] { return image; });
      break;
    case ReaderProtocol::kLatch:
    case ReaderProtocol::kLatchWindow:
      PublishLatch(mapping->bytes(), image);
      break;
    default:
      PublishTwoWindow(mapping->bytes(), keep, image, overlap, kept_first);
  }
  // Into zeros that nobody else has, or into a file that is cut shorter than the page.
  if (mapping->LooksLost())
    ThrowOutcome(info.Env(), Outcome::Failed(Status::kPageLost), arguments.function());
}

// lockFile(fileDescriptor) => boolean
Napi::Value LockFileOf(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "lockFile");
  const auto file = static_cast<int>(arguments.Integer(0, "fileDescriptor", 0, INT32_MAX));
  if (!arguments.ok()) return {};
  bool locked = false;
  if (!Succeeded(info.Env(), LockFile(file, &locked), arguments.function())) return {};
  return Napi::Boolean::New(info.Env(), locked);
}

}  // namespace

std::shared_ptr<PageMapping> MappingOf(const Napi::Value& value, const char* where) {
  bool tagged = false;
  if (value.IsObject()) napi_check_object_type_tag(value.Env(), value, &kMemoryTag, &tagged);
  if (tagged) return ClockPageMemory::Unwrap(value.As<Napi::Object>())->mapping(value.Env(), where);
  ThrowError(value.Env(), "ERR_BAD_ARGUMENT", "the argument memory is not a ClockPageMemory", where);
  return nullptr;
}

ReaderKind ReaderKindAt(Arguments* arguments, size_t index) {
  ReaderKind kind;
  kind.protocol = static_cast<ReaderProtocol>(arguments->Integer(index, "protocol", 0, kReaderProtocols - 1));
  kind.generation =
      static_cast<ReaderGeneration>(arguments->Integer(index + 1, "generation", 0, kReaderGenerations - 1));
  kind.wide = arguments->Boolean(index + 2, "wide");
  return kind;
}

void ExportClockPage(Napi::Env env, Napi::Object exports) {
  exports.Set("ClockPageMemory", ClockPageMemory::Define(env));
  exports.Set("clockPageReader", Napi::Function::New(env, MakeClockPageReader, "clockPageReader"));
  exports.Set("closePageReader", Napi::Function::New(env, ClosePageReader, "closePageReader"));
  exports.Set("readClockPageAt", Napi::Function::New(env, ReadClockPageAt, "readClockPageAt"));
  exports.Set("clockPageSetReader", Napi::Function::New(env, MakeClockPageSetReader, "clockPageSetReader"));
  exports.Set("readClockPageSetAt", Napi::Function::New(env, ReadClockPageSetAt, "readClockPageSetAt"));
  exports.Set("readVmclockAt", Napi::Function::New(env, ReadVmclockAt, "readVmclockAt"));
  exports.Set("readPvclockAt", Napi::Function::New(env, ReadPvclockAt, "readPvclockAt"));
  exports.Set("lockFile", Napi::Function::New(env, LockFileOf, "lockFile"));
  exports.Set("publishClockPage", Napi::Function::New(env, PublishClockPage, "publishClockPage"));
}

}  // namespace latchclock::binding
