#include "step_through.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace latchclock {
namespace {

// Of an undisturbed read: some tens of instructions a try.
constexpr uint32_t kMostInstructions = 2'000;
constexpr uint32_t kMostEndless = 4;
constexpr size_t kRemembered = 1 << 12;

std::string Format(const char* format, ...) {
  char text[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return text;
}

const char* NameOf(Judgement judgement) {
  switch (judgement) {
    case Judgement::kRight:
      return "right";
    case Judgement::kRefused:
      return "refused";
    case Judgement::kOutside:
      return "from outside the window";
    case Judgement::kGarbage:
      return "of no segment that was current";
    case Judgement::kMissing:
      return "none, though a value was promised";
  }
  __builtin_unreachable();
}

uint64_t HashOf(const SteppedWorld& world) {
  uint64_t hash = kFnvBasis;
  const auto add = [&](const void* start, size_t bytes) {
    hash = Fnv1a(hash, {static_cast<const uint8_t*>(start), bytes});
  };
  add(world.handed, world.handed_count * sizeof world.handed[0]);
  for (uint32_t i = 0; i < world.segment_count; i++) {
    add(&world.segments[i].base, sizeof world.segments[i].base);
    add(&world.segments[i].mult, sizeof world.segments[i].mult);
  }
  return hash;
}

}  // namespace

StepThrough::StepThrough(const SteppableReader& reader)
    : reader_(reader), unambiguous_(kRemembered), split_(new SteppedRead), ended_(new SteppedRead) {
  // Few, so that waiting for a writer that does nothing ends; enough for three updates in one read. The
  // sketch that goes on until the count changes runs out of them undisturbed.
  limits_.most_tries = reader.protocol == ReaderProtocol::kLiteralTwoWindow ? 2 : 5;
  limits_.most_spins = 5;
}

void StepThrough::Begin() { SingleStep::Begin(reader_.read, limits_); }

uint32_t StepThrough::CountInstructions(const StepCase& what) {
  what.init(SingleStep::Live()->world);
  Begin();
  for (uint32_t instructions = 1; instructions < kMostInstructions; instructions++) {
    const uint64_t address = SingleStep::Address();
    addresses_.insert(address);
    bool known = false;
    for (const CodeRange& function : functions_) known |= function.Has(address);
    if (!known) functions_.push_back(FunctionAt(address));
    if (SingleStep::Step() != Stop::kStepped) return instructions;
  }
  return kMostInstructions;
}

uint64_t StepThrough::MachineCode() const {
  uint64_t hash = kFnvBasis;
  for (const CodeRange& function : functions_) hash = Fnv1a(hash, function);
  return hash;
}

std::string StepThrough::InstructionAt(uint64_t address) const {
  for (const CodeRange& function : functions_) {
    if (!function.Has(address)) continue;
    const uint64_t start = reinterpret_cast<uint64_t>(function.start);
    // To the next instruction that is known, which is its end unless that one lies in a part never executed.
    const auto next = addresses_.upper_bound(address);
    uint64_t bytes = next == addresses_.end() ? 15 : std::min<uint64_t>(*next - address, 15);
    bytes = std::min(bytes, start + function.bytes - address);
    std::string text = Format("+0x%llx:", static_cast<unsigned long long>(address - start));
    for (uint64_t i = 0; i < bytes; i++) {
      text += Format(" %02x", reinterpret_cast<const uint8_t*>(address)[i]);
    }
    return text;
  }
  return "outside the reader";
}

std::string StepThrough::Describe(const Place& place, uint32_t number, const std::string& what) const {
  std::string text = Format("%s, form %u", place.name, place.choice);
  if (place.later == kAtEnd) {
    text += ", the rest after the read";
  } else if (place.later != kNone) {
    text += Format(", the rest before access %u from there", place.later);
  }
  return text + Format("; read %u: ", number + 1) + what;
}

Judgement StepThrough::Take(Stop stop, uint32_t number, const Place& place, StepLine* line) {
  SteppedRead& live = *SingleStep::Live();
  SteppedWorld& world = live.world;
  line->reads++;
  line->retried += live.retries != 0;
  const ReadEnd end = SingleStep::End();
  const auto value = static_cast<uint64_t>(live.reading.ns);
  uint64_t generation = 0;
  Judgement judgement = Judgement::kGarbage;
  std::string what;
  if (stop == Stop::kCrashed) {
    what = "it crashed at " + InstructionAt(SingleStep::Address());
  } else if (stop != Stop::kReturned) {
    what = "it went on and on";
    endless_++;
  } else if (!SingleStep::IsIntact() || static_cast<uint32_t>(end) >= kReadEnds) {
    what = "it wrote over its stack, or returned an end that there is not";
  } else {
    judgement = world.Judge(reader_.generation, end, live.reading.ns != kNoValue, value, &generation);
    line->waited += live.reading.waits != 0 || end == ReadEnd::kRetries;
  }
  switch (judgement) {
    case Judgement::kRight:
      line->right++;
      break;
    case Judgement::kRefused:
      line->refused++;
      break;
    case Judgement::kOutside:
      line->outside++;
      break;
    case Judgement::kGarbage:
      line->garbage++;
      break;
    case Judgement::kMissing:
      line->missing++;
      break;
  }
  const bool wrong = judgement != Judgement::kRight && judgement != Judgement::kRefused;
  const auto describe = [&] {
    if (what.empty()) {
      what = Format("%lld ns at counter %llu", static_cast<long long>(live.reading.ns),
                    static_cast<unsigned long long>(live.reading.cycles));
      if (judgement == Judgement::kMissing) what = "no value";
      what += std::string(" is ") + NameOf(judgement);
      for (const int32_t i : world.current) {
        if (i < 0) continue;
        what += Format("; current at its end: %llu ns there",
                       static_cast<unsigned long long>(world.segments[i].ValueAt(live.reading.cycles)));
      }
    }
    return Describe(place, number, what);
  };
  if (wrong && line->example.empty()) {
    line->example = Format("{\"boundary\":%u,\"instruction\":\"", place.boundary) +
                    InstructionAt(place.address) + "\",\"what\":\"" + describe() + "\"}";
  }
  if (judgement != Judgement::kRight) return judgement;
  if (world.has_best && world.best_generation == generation &&
      live.reading.ns < static_cast<int64_t>(world.best)) {
    line->backwards++;
    return judgement;
  }
  const uint64_t hash = HashOf(world);
  uint64_t& remembered = unambiguous_[hash % kRemembered];
  if (remembered != hash) {
    if (world.IsAmbiguous(value)) {
      if (line->ambiguous.empty()) line->ambiguous = describe();
    } else {
      remembered = hash;
    }
  }
  world.has_best = true;
  world.best = value;
  world.best_generation = generation;
  return judgement;
}

void StepThrough::ReadOn(const std::vector<Happening>& then, const Place& place, StepLine* line) {
  uint32_t number = 0;
  for (const Happening& happen : then) {
    if (happen) happen(SingleStep::Live()->world);
    Begin();
    Take(SingleStep::RunFree(), ++number, place, line);
  }
}

void StepThrough::RunTwoParts(const StepCase& what, Place place, uint32_t splits) {
  SteppedRead& live = *SingleStep::Live();
  Stop stop = Stop::kAccess;
  for (place.later = 0; place.later < splits; place.later++) {
    live.world.Pass(SteppedWorld::kTick);
    if (place.later != 0) stop = SingleStep::Step();
    if (stop == Stop::kStepped || stop == Stop::kAccess) stop = SingleStep::RunToAccess();
    if (stop != Stop::kAccess) break;
    *split_ = live;
    for (const SecondPart& second : what.seconds) {
      live = *split_;
      second.line->runs++;
      second.happen(live.world);
      Take(SingleStep::RunFree(), 0, place, second.line);
      ReadOn(second.then, place, second.line);
    }
    live = *split_;
  }
  for (const SecondPart& second : what.seconds) {
    second.line->splits = std::max(second.line->splits, place.later);
  }
  if (stop == Stop::kAccess) stop = SingleStep::RunFree();
  place.later = kAtEnd;
  *ended_ = live;
  for (const SecondPart& second : what.seconds) {
    live = *ended_;
    second.line->runs++;
    Take(stop, 0, place, second.line);
    second.happen(live.world);
    ReadOn(second.then, place, second.line);
  }
}

const StepThrough::Undisturbed& StepThrough::StepUndisturbed(const StepCase& what) {
  const auto known = undisturbed_.find(what.start);
  if (known != undisturbed_.end()) return known->second;
  Undisturbed& made = undisturbed_[what.start];
  made.instructions = CountInstructions(what);
  SteppedRead& live = *SingleStep::Live();
  what.init(live.world);
  Begin();
  do {
    made.boundaries.push_back(live);
    made.accesses.push_back(SingleStep::IsAtAccess());
    live.world.Pass(SteppedWorld::kTick);
  } while (made.boundaries.size() < kMostInstructions && SingleStep::Step() == Stop::kStepped);
  return made;
}

void StepThrough::Run(const StepCase& what) {
  SteppedRead& live = *SingleStep::Live();
  const Undisturbed& read = StepUndisturbed(what);
  std::vector<StepLine*> lines;
  if (what.line != nullptr) lines.push_back(what.line);
  for (const SecondPart& second : what.seconds) lines.push_back(second.line);
  for (StepLine* line : lines) line->instructions[what.way] = read.instructions;

  std::map<uint32_t, Judgement> outcomes;
  for (uint32_t boundary = 0; boundary < read.boundaries.size(); boundary++) {
    const bool access = read.accesses[boundary];
    for (StepLine* line : lines) line->boundaries[what.way].insert(boundary);
    for (size_t i = 0; i < what.choices.size(); i++) {
      // Each takes a while to be noticed.
      if (endless_ >= kMostEndless) return;
      if (!what.everywhere && !access && i != boundary % what.choices.size()) continue;
      const uint32_t choice = what.choices[i];
      live = read.boundaries[boundary];
      const Place place{what.name, choice, boundary, SingleStep::Address(), kNone};
      what.first(live.world, choice);
      if (!what.seconds.empty()) {
        RunTwoParts(what, place, access ? what.splits : 0);
        continue;
      }
      what.line->runs++;
      const Judgement judgement = Take(SingleStep::RunFree(), 0, place, what.line);
      ReadOn(what.then, place, what.line);
      if (!what.everywhere) continue;
      const auto [outcome, is_new] = outcomes.emplace(choice, judgement);
      if (!is_new && outcome->second != judgement && what.line->unlike.empty()) {
        what.line->unlike =
            Describe(place, 0,
                     std::string(NameOf(judgement)) + " at boundary " + std::to_string(boundary) + ", and " +
                         NameOf(outcome->second) + " before");
      }
    }
    if (access) outcomes.clear();
  }
}

}  // namespace latchclock
