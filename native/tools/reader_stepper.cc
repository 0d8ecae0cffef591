// Runs the compiled readers of our clock page one instruction at a time, and makes a hazard happen before
// each of them: reader-stepper [--only PROTOCOL] [--hazard NAME] [--narrow|--wide] [--quick]
//
// One JSON object a line, for each reader, arithmetic, hazard and variant:
//   protocol, generation, wide, hazard, variant
//   instructions  of the undisturbed reads
//   boundaries    of these, before which the hazard was made to happen
//   splits        later accesses at which the second part of what comes in two was made to happen, at the
//   most runs, reads   each run has the read that was under way, and others after it right, refused, outside
//   (a window), garbage, missing (a value was promised)    of the reads: their sum retried       reads that
//   threw a copy away waited        reads that waited for a writer, or ran out of tries backwards     right
//   values below one that was returned before, in the same generation machineCode   FNV-1a of the reader's
//   functions example       null, or {boundary, instruction, what} of the first wrong value
// Exit: 0 it ran; 2 wrong usage; 3 it cannot run here, or its own checks failed: {"error", "why"} on a line.

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "step_hazards.h"

namespace latchclock {
namespace {

constexpr int kRan = 0, kUsage = 2, kCannot = 3;
constexpr uint32_t kDeadlineSeconds = 120;
constexpr const char* kUsageText =
    "usage: reader-stepper [--only PROTOCOL] [--hazard NAME] [--narrow|--wide] [--quick]\n";
constexpr const char* kGenerationNames[] = {"none", "tagged", "untagged"};

struct Options {
  std::string_view protocol, hazard;
  bool narrow = true, wide = true, quick = false;
};

bool IsHazard(std::string_view name) {
  for (const char* hazard : kSteppedHazards) {
    if (name == hazard) return true;
  }
  return false;
}

// False with a message on stderr.
bool Parse(int count, char** arguments, const std::vector<SteppableReader>& readers, Options* options) {
  for (int i = 1; i < count; i++) {
    const std::string_view name = arguments[i];
    const auto value = [&] { return i + 1 < count ? std::string_view(arguments[++i]) : ""; };
    if (name == "--only") {
      options->protocol = value();
      bool known = false;
      for (const SteppableReader& reader : readers) known |= options->protocol == reader.protocol_name;
      if (known) continue;
      fprintf(stderr, "reader-stepper: --only takes the name of a protocol that was compiled in\n");
    } else if (name == "--hazard") {
      options->hazard = value();
      if (IsHazard(options->hazard)) continue;
      fprintf(stderr, "reader-stepper: --hazard takes the name of a hazard that can be stepped\n");
    } else if (name == "--narrow") {
      options->wide = false;
    } else if (name == "--wide") {
      options->narrow = false;
    } else if (name == "--quick") {
      options->quick = true;
    } else {
      fprintf(stderr, "reader-stepper: unknown argument %s\n", arguments[i]);
    }
    if (name == "--narrow" || name == "--wide" || name == "--quick") continue;
    fputs(kUsageText, stderr);
    return false;
  }
  if (!options->narrow && !options->wide) {
    fprintf(stderr, "reader-stepper: --narrow and --wide exclude each other\n%s", kUsageText);
    return false;
  }
  return true;
}

[[noreturn]] void Cannot(const char* error, const char* why) {
  printf("{\"error\":\"%s\",\"why\":\"%s\"}\n", error, why);
  fflush(stdout);
  _exit(kCannot);
}

// In a signal handler: what was printed as yet is lost, line by line.
void OnDeadline() {
  constexpr char kText[] = "{\"error\":\"deadline\",\"why\":\"the readers were not through in time\"}\n";
  if (write(STDOUT_FILENO, kText, sizeof kText - 1) < 0) _exit(kCannot);
  _exit(kCannot);
}

template <class Counts>
uint32_t Sum(const Counts& counts) {
  uint32_t sum = 0;
  for (const auto& [way, count] : counts) sum += count;
  return sum;
}

void Print(const SteppableReader& reader, uint64_t machine_code, const StepLine& line) {
  uint32_t boundaries = 0;
  for (const auto& [way, seen] : line.boundaries) boundaries += static_cast<uint32_t>(seen.size());
  const auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  printf("{\"protocol\":\"%s\",\"generation\":\"%s\",\"wide\":%s,\"hazard\":\"%s\",\"variant\":\"%s\",",
         reader.protocol_name, kGenerationNames[static_cast<uint32_t>(reader.generation)],
         reader.wide ? "true" : "false", line.hazard.c_str(), line.variant.c_str());
  printf("\"instructions\":%u,\"boundaries\":%u,\"splits\":%u,\"runs\":%llu,\"reads\":%llu,",
         Sum(line.instructions), boundaries, line.splits, number(line.runs), number(line.reads));
  printf("\"right\":%llu,\"refused\":%llu,\"outside\":%llu,\"garbage\":%llu,\"missing\":%llu,",
         number(line.right), number(line.refused), number(line.outside), number(line.garbage),
         number(line.missing));
  printf("\"retried\":%llu,\"waited\":%llu,\"backwards\":%llu,", number(line.retried), number(line.waited),
         number(line.backwards));
  printf("\"machineCode\":\"%016llx\",\"example\":%s}\n", number(machine_code),
         line.example.empty() ? "null" : line.example.c_str());
  fflush(stdout);
}

int Main(int count, char** arguments) {
  const std::vector<SteppableReader> readers = SteppableReaders();
  Options options;
  if (!Parse(count, arguments, readers, &options)) return kUsage;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const char* call = "";
  if (!SingleStep::Start(&call)) Cannot(call, strerror(errno));
  SingleStep::SetDeadline(kDeadlineSeconds, OnDeadline);
  const std::string hazard(options.hazard);
  for (const SteppableReader& reader : readers) {
    if (!options.protocol.empty() && options.protocol != reader.protocol_name) continue;
    if (reader.wide ? !options.wide : !options.narrow) continue;
    StepThrough through(reader);
    for (const StepLine& line : StepHazards(reader, hazard, options.quick, &through)) {
      if (!line.ambiguous.empty()) Cannot("ambiguous", line.ambiguous.c_str());
      if (!line.unlike.empty()) Cannot("places", line.unlike.c_str());
      Print(reader, through.MachineCode(), line);
    }
  }
  return kRan;
}

}  // namespace
}  // namespace latchclock

int main(int count, char** arguments) { return latchclock::Main(count, arguments); }
