#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "machine_code.h"
#include "single_step.h"
#include "steppable_readers.h"

namespace latchclock {

// What was found of one reader against one variant of a hazard.
struct StepLine {
  std::string hazard, variant;
  // The undisturbed reads: their instructions, and before which of these something was made to happen. One
  // after another where a protocol has several ways through.
  std::map<uint32_t, uint32_t> instructions;
  std::map<uint32_t, std::set<uint32_t>> boundaries;
  uint64_t runs = 0, reads = 0;
  uint64_t right = 0, refused = 0, outside = 0, garbage = 0, missing = 0;
  uint64_t retried = 0, waited = 0, backwards = 0;
  std::string example;  // JSON; empty: none
  // As text. Two outcomes of one place: then accesses were overlooked. A right value that a mix of words
  // gives as well: then right proves nothing.
  std::string unlike, ambiguous;
  uint32_t splits = 0;
};

using Happening = std::function<void(SteppedWorld&)>;

// The later one of two things that happen, and the reads that start after it: one after each of `then`.
struct SecondPart {
  StepLine* line = nullptr;
  Happening happen;
  std::vector<Happening> then;
};

// What is made to happen at every boundary of a read, in `choices` forms.
struct StepCase {
  const char* name = "";
  uint32_t way = 0;    // through the reader: number of the undisturbed read
  uint64_t start = 0;  // the same for cases whose `init` is the same
  Happening init;
  std::vector<uint32_t> choices = {0};
  bool everywhere = true;  // every form at every boundary; else at accesses, and elsewhere in turn
  std::function<void(SteppedWorld&, uint32_t)> first;
  // Without a second part.
  StepLine* line = nullptr;
  std::vector<Happening> then;
  // With second parts: at each of the next `splits` accesses of the disturbed read, and at its end.
  std::vector<SecondPart> seconds;
  uint32_t splits = 0;
};

// Steps a reader through cases. What happens is happening to the memory and the counter that the reader
// shares with others, so that all boundaries between two of its accesses to these are one place: the first
// part of everything is made to happen at every boundary, but of many forms of it only one where the next
// instruction is no access, and the second part only at accesses and at the end. Where all forms are tried
// everywhere, one place is held to have one outcome.
class StepThrough {
 public:
  explicit StepThrough(const SteppableReader& reader);

  void Run(const StepCase& what);
  // FNV-1a of the functions that undisturbed reads went through, in the order of their first instruction.
  uint64_t MachineCode() const;

 private:
  struct Place {
    const char* name;
    uint32_t choice, boundary;
    uint64_t address;
    uint32_t later;  // accesses between the parts; kAtEnd
  };
  static constexpr uint32_t kAtEnd = UINT32_MAX, kNone = UINT32_MAX - 1;

  // The undisturbed read of a start: every boundary of it, and whether the instruction behind is an access.
  struct Undisturbed {
    uint32_t instructions;
    std::vector<SteppedRead> boundaries;
    std::vector<bool> accesses;
  };

  const Undisturbed& StepUndisturbed(const StepCase& what);
  uint32_t CountInstructions(const StepCase& what);
  void Begin();
  // Judges the read that stopped so; `number` counts the reads of one run.
  Judgement Take(Stop stop, uint32_t number, const Place& place, StepLine* line);
  void ReadOn(const std::vector<Happening>& then, const Place& place, StepLine* line);
  void RunTwoParts(const StepCase& what, Place place, uint32_t splits);
  std::string Describe(const Place& place, uint32_t number, const std::string& what) const;
  std::string InstructionAt(uint64_t address) const;

  const SteppableReader reader_;
  ReadLimits limits_;
  uint32_t endless_ = 0;
  std::vector<CodeRange> functions_;
  std::set<uint64_t> addresses_;
  std::vector<uint64_t> unambiguous_;
  std::unique_ptr<SteppedRead> split_, ended_;
  std::map<uint64_t, Undisturbed> undisturbed_;
};

}  // namespace latchclock
