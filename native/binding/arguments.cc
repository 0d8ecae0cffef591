#include "arguments.h"

#include "binding.h"

namespace latchclock::binding {

void Arguments::Refuse(const char* name, const char* expected) {
  if (!ok_) return;
  ok_ = false;
  const std::string what = std::string("the argument ") + name + " is not " + expected;
  ThrowError(info_.Env(), "ERR_BAD_ARGUMENT", what.c_str(), function_);
}

int64_t Arguments::Integer(size_t index, const char* name, int64_t least, int64_t most) {
  if (!ok_) return 0;
  const Napi::Value value = At(index);
  if (value.IsNumber()) {
    const double number = value.As<Napi::Number>().DoubleValue();
    // Every bound used is below 2^53: the comparison and the conversion are exact. NaN fails both.
    if (number >= static_cast<double>(least) && number <= static_cast<double>(most)) {
      const auto integer = static_cast<int64_t>(number);
      if (static_cast<double>(integer) == number) return integer;
    }
  }
  const std::string expected = "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
  Refuse(name, expected.c_str());
  return 0;
}

uint64_t Arguments::Unsigned64(size_t index, const char* name) {
  if (!ok_) return 0;
  bool lossless = false;
  uint64_t value = 0;
  if (At(index).IsBigInt()) value = At(index).As<Napi::BigInt>().Uint64Value(&lossless);
  if (!lossless) Refuse(name, "an unsigned 64-bit bigint");
  return lossless ? value : 0;
}

std::string Arguments::String(size_t index, const char* name) {
  if (!ok_) return {};
  if (!At(index).IsString()) {
    Refuse(name, "a string");
    return {};
  }
  return At(index).As<Napi::String>().Utf8Value();
}

int64_t* Arguments::Words64(size_t index, const char* name, size_t* length) {
  *length = 0;
  if (!ok_) return nullptr;
  if (!At(index).IsTypedArray() || At(index).As<Napi::TypedArray>().TypedArrayType() != napi_bigint64_array) {
    Refuse(name, "a BigInt64Array");
    return nullptr;
  }
  auto array = At(index).As<Napi::BigInt64Array>();
  *length = array.ElementLength();
  return array.Data();
}

uint32_t* Arguments::Words32(size_t index, const char* name, size_t* length) {
  *length = 0;
  if (!ok_) return nullptr;
  if (!At(index).IsTypedArray() || At(index).As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array) {
    Refuse(name, "a Uint32Array");
    return nullptr;
  }
  auto array = At(index).As<Napi::Uint32Array>();
  *length = array.ElementLength();
  return array.Data();
}

int64_t* Arguments::Word64(size_t index, const char* name) {
  size_t length = 0;
  int64_t* words = Words64(index, name, &length);
  if (ok_ && length == 0) Refuse(name, "a BigInt64Array with room for a word");
  return words;
}

const uint8_t* Arguments::Bytes(size_t index, const char* name, size_t length) {
  if (!ok_) return nullptr;
  if (At(index).IsTypedArray() && At(index).As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array) {
    auto array = At(index).As<Napi::Uint8Array>();
    if (array.ElementLength() == length) return array.Data();
  }
  const std::string expected = "a Uint8Array of " + std::to_string(length) + " bytes";
  Refuse(name, expected.c_str());
  return nullptr;
}

bool Arguments::Boolean(size_t index, const char* name) {
  if (!ok_) return false;
  if (At(index).IsBoolean()) return At(index).As<Napi::Boolean>().Value();
  Refuse(name, "true or false");
  return false;
}

std::vector<int> Arguments::Cpus(size_t index, const char* name) {
  constexpr uint32_t kMostCpu = (1 << 16) - 1;
  size_t count = 0;
  const uint32_t* words = Words32(index, name, &count);
  std::vector<int> cpus;
  for (size_t i = 0; i < count; i++) {
    if (words[i] <= kMostCpu) cpus.push_back(static_cast<int>(words[i]));
  }
  if (ok_ && (cpus.empty() || cpus.size() != count)) Refuse(name, "a list of CPUs");
  return cpus;
}

void Arguments::Page(size_t index, const char* name, const uint8_t** page, PageClock* clock) {
  *page = nullptr;
  *clock = {};
  if (!ok_ || At(index).IsNull()) return;
  if (!At(index).IsObject()) return Refuse(name, "a page clock or null");
  const auto object = At(index).As<Napi::Object>();
  const auto offset = [&](const char* field, bool optional = false) -> uint32_t {
    const Napi::Value value = object.Get(field);
    if (optional && value.IsNull()) return kNoField;
    if (!value.IsNumber()) {
      Refuse(name, "a page clock: an offset is missing");
      return 0;
    }
    const double number = value.As<Napi::Number>().DoubleValue();
    const uint32_t whole = number >= 0 && number < kPageSize ? static_cast<uint32_t>(number) : kPageSize;
    // A fraction is no offset; kPageSize lies outside, and is refused below.
    return whole == number ? whole : kPageSize;
  };
  clock->seq = offset("seq");
  clock->mode = offset("mode");
  clock->cycle_last = offset("cycleLast");
  clock->max_cycles = offset("maxCycles", true);
  clock->mult = offset("mult");
  clock->shift = offset("shift");
  clock->seconds = offset("seconds");
  clock->nanoseconds = offset("nanoseconds");
  const Napi::Value address = object.Get("address");
  const Napi::Value coarse = object.Get("coarse");
  const Napi::Value namespace_ns = object.Get("namespaceNs");
  bool address_fits = false;
  bool offset_fits = false;
  uint64_t page_address = 0;
  if (address.IsBigInt()) page_address = address.As<Napi::BigInt>().Uint64Value(&address_fits);
  if (namespace_ns.IsBigInt()) clock->namespace_ns = namespace_ns.As<Napi::BigInt>().Int64Value(&offset_fits);
  if (!coarse.IsBoolean() || !address_fits || !offset_fits) {
    return Refuse(name, "a page clock: address, coarse or namespaceNs is missing");
  }
  clock->coarse = coarse.As<Napi::Boolean>().Value();
  if (!IsInsidePage(*clock)) return Refuse(name, "a page clock: a word lies outside the page");
  const Outcome readable = CheckKernelPage(page_address);
  if (!readable.ok()) {
    ok_ = false;
    return ThrowOutcome(info_.Env(), readable, function_);
  }
  *page = reinterpret_cast<const uint8_t*>(page_address);
}

}  // namespace latchclock::binding
