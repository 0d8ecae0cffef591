#include "../core/clock_call.h"

#include <vector>

#include "../core/asked_call.h"
#include "../core/bad_pointer_probe.h"
#include "../core/call_bracket.h"
#include "arguments.h"
#include "binding.h"

namespace latchclock::binding {
namespace {

ClockCall CallArgument(Arguments* arguments, size_t index) {
  return static_cast<ClockCall>(arguments->Integer(index, "call", 0, kClockCalls - 1));
}

CallPath PathArgument(Arguments* arguments, size_t index, const char* name) {
  return static_cast<CallPath>(arguments->Integer(index, name, 0, kCallPaths - 1));
}

clockid_t IdArgument(Arguments* arguments, size_t index, const char* name) {
  return static_cast<clockid_t>(arguments->Integer(index, name, INT32_MIN, INT32_MAX));
}

const char* NameOf(ClockCall call) {
  constexpr const char* kNames[kClockCalls] = {"clock_gettime", "clock_getres", "gettimeofday", "time",
                                               "getcpu"};
  return kNames[static_cast<uint32_t>(call)];
}

// callClock(call, path, clockId, words)
void CallClock(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "callClock");
  const ClockCall call = CallArgument(&arguments, 0);
  const CallPath path = PathArgument(&arguments, 1, "path");
  const clockid_t id = IdArgument(&arguments, 2, "clockId");
  size_t length = 0;
  int64_t* words = arguments.Words64(3, "words", &length);
  if (!arguments.ok()) return;
  if (length < 2) {
    ThrowError(info.Env(), "ERR_BAD_ARGUMENT", "the argument words has no room for two words",
               arguments.function());
    return;
  }
  if (!Succeeded(info.Env(), CheckClockCall(call, path), arguments.function())) return;
  CallAnswer answer;
  const int error = MakeClockCall(call, path, id, &answer);
  if (error != 0) {
    ThrowOutcome(info.Env(), Outcome::FailedCall(NameOf(call), error), arguments.function());
    return;
  }
  words[0] = answer.words[0];
  words[1] = answer.words[1];
}

// bracketCall(call, path, clockId, outerPath, outerId, page | null, count, rowEvery, rows) => tally
Napi::Value BracketCall(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info, "bracketCall");
  CallBracketRequest request = {};
  request.call = CallArgument(&arguments, 0);
  request.path = PathArgument(&arguments, 1, "path");
  request.id = IdArgument(&arguments, 2, "clockId");
  request.outer_path = PathArgument(&arguments, 3, "outerPath");
  request.outer_id = IdArgument(&arguments, 4, "outerId");
  arguments.Page(5, "page", &request.page, &request.clock);
  request.count = static_cast<uint64_t>(arguments.Integer(6, "count", 1, 1'000'000'000));
  request.row_every = static_cast<uint64_t>(arguments.Integer(7, "rowEvery", 1, 1'000'000'000));
  size_t row_words = 0;
  request.rows = arguments.Words64(8, "rows", &row_words);
  if (!arguments.ok()) return {};
  request.row_capacity = row_words / kCallRowWords;
  CallBracketTally tally;
  if (!Succeeded(env, RunCallBracket(request, &tally), arguments.function())) return {};
  auto result = Napi::Object::New(env);
  SetCount(result, "samples", tally.samples);
  SetCount(result, "acrossUpdate", tally.across_update);
  SetCount(result, "outside", tally.outside);
  SetCount(result, "outsideAcrossUpdate", tally.outside_across_update);
  SetCount(result, "worstNs", tally.worst_ns);
  SetCount(result, "malformed", tally.malformed);
  SetCount(result, "malformedOuter", tally.malformed_outer);
  SetCount(result, "rows", tally.rows);
  return result;
}

// probeBadPointer(call, path, clockId, pointer) => { errorNumber, signal }
Napi::Value ProbePointer(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info, "probeBadPointer");
  const ClockCall call = CallArgument(&arguments, 0);
  const CallPath path = PathArgument(&arguments, 1, "path");
  const clockid_t id = IdArgument(&arguments, 2, "clockId");
  const auto pointer = static_cast<BadPointer>(arguments.Integer(3, "pointer", 0, kBadPointers - 1));
  if (!arguments.ok()) return {};
  BadPointerEnding ending;
  if (!Succeeded(env, ProbeBadPointer(call, path, id, pointer, &ending), arguments.function())) return {};
  auto result = Napi::Object::New(env);
  result.Set("errorNumber", Napi::Number::New(env, ending.error_number));
  result.Set("signal", Napi::Number::New(env, ending.signal));
  return result;
}

constexpr size_t kQuestionWords = 4;
constexpr size_t kMostQuestions = 4096;

// askCalls(questions, endings): four words a question (asked, call, path, clock id), two an ending (errno,
// signal)
void Ask(const Napi::CallbackInfo& info) {
  Arguments arguments(info, "askCalls");
  size_t question_words = 0, ending_words = 0;
  const uint32_t* words = arguments.Words32(0, "questions", &question_words);
  uint32_t* out = arguments.Words32(1, "endings", &ending_words);
  if (!arguments.ok()) return;
  const size_t count = question_words / kQuestionWords;
  std::vector<CallQuestion> questions;
  bool fits = count <= kMostQuestions && ending_words >= 2 * count;
  for (size_t i = 0; i < count && fits; i++) {
    const uint32_t* at = words + i * kQuestionWords;
    fits = at[0] < kAskedCalls && at[1] < kClockCalls && at[2] < kCallPaths;
    questions.push_back({static_cast<AskedCall>(at[0]), static_cast<ClockCall>(at[1]),
                         static_cast<CallPath>(at[2]), static_cast<clockid_t>(at[3])});
  }
  if (!fits) {
    ThrowError(info.Env(), "ERR_BAD_ARGUMENT", "the questions are not of this addon", arguments.function());
    return;
  }
  std::vector<ChildEnding> endings(count);
  if (!Succeeded(info.Env(), AskCalls(questions.data(), count, endings.data()), arguments.function())) return;
  for (size_t i = 0; i < count; i++) {
    out[2 * i] = static_cast<uint32_t>(endings[i].value);
    out[2 * i + 1] = static_cast<uint32_t>(endings[i].signal);
  }
}

}  // namespace

void ExportClockCall(Napi::Env env, Napi::Object exports) {
  exports.Set("callClock", Napi::Function::New(env, CallClock, "callClock"));
  exports.Set("bracketCall", Napi::Function::New(env, BracketCall, "bracketCall"));
  exports.Set("probeBadPointer", Napi::Function::New(env, ProbePointer, "probeBadPointer"));
  exports.Set("askCalls", Napi::Function::New(env, Ask, "askCalls"));
}

}  // namespace latchclock::binding
