#include "../core/bracket.h"

#include "arguments.h"
#include "binding.h"

namespace latchclock::binding {
namespace {

// Cycles are not compared with nanoseconds: the counter is no side of a bracket.
constexpr int64_t kLastClockSource = static_cast<int64_t>(ReadingSource::kPage);

// bracket(outer, inner, clockId, page | null, count, rowEvery, rows, outsideRows) => tally
Napi::Value Bracket(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(info, "bracket");
  BracketRequest request = {};
  request.outer = static_cast<ReadingSource>(arguments.Integer(0, "outer", 0, kLastClockSource));
  request.inner = static_cast<ReadingSource>(arguments.Integer(1, "inner", 0, kLastClockSource));
  request.id = static_cast<clockid_t>(arguments.Integer(2, "clockId", INT32_MIN, INT32_MAX));
  arguments.Page(3, "page", &request.page, &request.clock);
  request.count = static_cast<uint64_t>(arguments.Integer(4, "count", 1, 1'000'000'000));
  request.row_every = static_cast<uint64_t>(arguments.Integer(5, "rowEvery", 1, 1'000'000'000));
  size_t row_words = 0;
  size_t outside_words = 0;
  request.rows = arguments.Words64(6, "rows", &row_words);
  request.outside_rows = arguments.Words64(7, "outsideRows", &outside_words);
  if (!arguments.ok()) return {};
  request.row_capacity = row_words / kRowWords;
  request.outside_capacity = outside_words / kRowWords;

  BracketTally tally;
  if (!Succeeded(env, RunBracket(request, &tally), arguments.function())) return {};
  auto result = Napi::Object::New(env);
  SetCount(result, "samples", tally.samples);
  SetCount(result, "acrossUpdate", tally.across_update);
  SetCount(result, "outside", tally.outside);
  SetCount(result, "outsideAcrossUpdate", tally.outside_across_update);
  SetCount(result, "worstNs", tally.worst_ns);
  SetCount(result, "retries", tally.retries);
  SetCount(result, "widthSumNs", tally.width_sum_ns);
  SetCount(result, "widthMinNs", tally.width_min_ns);
  SetCount(result, "rows", tally.rows);
  SetCount(result, "outsideRows", tally.outside_rows);
  return result;
}

}  // namespace

void ExportBracket(Napi::Env env, Napi::Object exports) {
  exports.Set("bracket", Napi::Function::New(env, Bracket, "bracket"));
}

}  // namespace latchclock::binding
