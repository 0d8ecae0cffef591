#include "../core/call_bracket.h"

#include <time.h>

#include <vector>

#include "check.h"
#include "support.h"

// The module once more under another name, over answers of the test's own.
namespace latchclock {
namespace {

int (*answer_call)(ClockCall, CallPath, CallAnswer*) = nullptr;
int AnswerFromTest(ClockCall call, CallPath path, clockid_t, CallAnswer* answer) {
  return answer_call(call, path, answer);
}

}  // namespace
}  // namespace latchclock
#define MakeClockCall AnswerFromTest
#define RunCallBracket RunOnTestsAnswers
#include "../core/call_bracket.cc"
#undef MakeClockCall
#undef RunCallBracket

namespace latchclock::test {
namespace {

CallBracketRequest Request(ClockCall call, CallPath path, clockid_t outer_id, uint64_t count) {
  return {call, path, CLOCK_REALTIME, CallPath::kSyscall, outer_id, nullptr, {}, count, 1, nullptr, 0};
}

TEST(
    "gettimeofday lies between two readings of realtime, time between two of its coarse one, by every path") {
  for (const CallPath path : {CallPath::kVdso, CallPath::kLibc, CallPath::kSyscall, CallPath::kVsyscall}) {
    for (const ClockCall call : {ClockCall::kGettimeofday, ClockCall::kTime, ClockCall::kClockGettime}) {
      if (!CheckClockCall(call, path).ok()) continue;
      const clockid_t outer = call == ClockCall::kTime ? CLOCK_REALTIME_COARSE : CLOCK_REALTIME;
      CallBracketTally tally;
      CHECK(RunCallBracket(Request(call, path, outer, 2'000), &tally).ok());
      CHECK_EQ(tally.samples, 2'000);
      // Once in a while somebody sets or slews the clock.
      CHECK(tally.outside <= 2);
      CHECK_EQ(tally.malformed, 0);
      CHECK_EQ(tally.malformed_outer, 0);
    }
  }
}

// The outer clock stands at 5.123456789 s; the inner answer is the test's.
CallAnswer inner_answer;
CallAnswer outer_answer;
CallBracketTally Judged(ClockCall call, CallAnswer inner, CallAnswer outer = {{5, 123'456'789}}) {
  inner_answer = inner;
  outer_answer = outer;
  answer_call = [](ClockCall, CallPath path, CallAnswer* answer) {
    *answer = path == CallPath::kSyscall ? outer_answer : inner_answer;
    return 0;
  };
  int64_t rows[2 * kCallRowWords] = {};
  CallBracketRequest request = Request(call, CallPath::kLibc, CLOCK_REALTIME, 1);
  request.rows = rows;
  request.row_capacity = 2;
  CallBracketTally tally;
  CHECK(RunOnTestsAnswers(request, &tally).ok());
  CHECK_EQ(tally.samples, 1);
  CHECK_EQ(tally.rows, 1);
  CHECK_EQ(rows[3], inner.words[0]);
  CHECK_EQ(rows[4], inner.words[1]);
  CHECK_EQ(rows[5], outer.words[0]);
  return tally;
}

TEST("an answer is judged in its own unit: a microsecond or a second less is outside, rounding down is not") {
  CHECK_EQ(Judged(ClockCall::kGettimeofday, {{5, 123'456}}).outside, 0);
  CHECK_EQ(Judged(ClockCall::kGettimeofday, {{5, 123'455}}).outside, 1);
  CHECK_EQ(Judged(ClockCall::kGettimeofday, {{5, 123'457}}).outside, 1);
  CHECK_EQ(Judged(ClockCall::kGettimeofday, {{3'605, 123'456}}).worst_ns, 3'599'999'999'211);
  CHECK_EQ(Judged(ClockCall::kTime, {{5, 0}}).outside, 0);
  CHECK_EQ(Judged(ClockCall::kTime, {{4, 0}}).outside, 1);
  CHECK_EQ(Judged(ClockCall::kTime, {{6, 0}}).outside, 1);
  CHECK_EQ(Judged(ClockCall::kClockGettime, {{5, 123'456'789}}).outside, 0);
  CHECK_EQ(Judged(ClockCall::kClockGettime, {{5, 123'456'788}}).outside, 1);
}

TEST("in the moment in which the second changes time may give either, which is counted apart") {
  const CallBracketTally tally = Judged(ClockCall::kTime, {{4, 0}}, {{5, 19'999'999}});
  CHECK_EQ(tally.outside, 0);
  CHECK_EQ(tally.outside_across_update, 1);
  CHECK_EQ(Judged(ClockCall::kTime, {{4, 0}}, {{5, 20'000'000}}).outside, 1);
}

TEST("a fraction that is not normalised is counted, even where the sum is right") {
  const CallBracketTally tally = Judged(ClockCall::kClockGettime, {{4, 1'123'456'789}});
  CHECK_EQ(tally.outside, 0);
  CHECK_EQ(tally.malformed, 1);
  CHECK_EQ(tally.malformed_outer, 0);
  CHECK_EQ(Judged(ClockCall::kGettimeofday, {{6, -876'544}}).malformed, 1);
  CHECK_EQ(Judged(ClockCall::kTime, {{5, 3}}).malformed, 1);
  CHECK_EQ(Judged(ClockCall::kGettimeofday, {{5, 123'456}}, {{4, 1'123'456'789}}).malformed_outer, 1);
}

TEST("no answer overflows the judgement") {
  for (const int64_t word : {INT64_MIN, INT64_MAX}) {
    for (const ClockCall call : {ClockCall::kClockGettime, ClockCall::kGettimeofday, ClockCall::kTime}) {
      CHECK_EQ(Judged(call, {{word, word}}).samples, 1);
      CHECK_EQ(Judged(call, {{5, 0}}, {{word, word}}).samples, 1);
    }
  }
}

TEST("calls that tell no time, and words outside the page, are refused") {
  CallBracketTally tally;
  for (const ClockCall call : {ClockCall::kGetcpu, ClockCall::kClockGetres}) {
    CHECK_EQ(RunCallBracket(Request(call, CallPath::kSyscall, CLOCK_REALTIME, 1), &tally).status,
             Status::kBadArgument);
  }
  CallBracketRequest request = Request(ClockCall::kTime, CallPath::kSyscall, CLOCK_REALTIME, 1);
  request.row_every = 0;
  CHECK_EQ(RunCallBracket(request, &tally).status, Status::kBadArgument);
  CHECK_EQ(tally.samples, 0);
}

}  // namespace
}  // namespace latchclock::test
