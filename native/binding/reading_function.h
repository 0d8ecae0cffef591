#pragma once

#include <napi.h>

#include <memory>

#include "binding.h"

namespace latchclock::binding {

// What every function that reads into a word of JavaScript's has: the word, and what keeps its memory.
struct ReadingInto {
  int64_t* out = nullptr;
  napi_ref buffer = nullptr;
};

// The function, owning `reader`; an exception is pending if it could not be made. `call` finds the reader as
// its data: the raw interface, since wrappers that build a CallbackInfo cost as much as the reading. With a
// tag of its kind, whoever is given the function finds its reader, too.
template <class Reader>
Napi::Value MakeReadingFunction(Napi::Env env, std::unique_ptr<Reader> reader, const Napi::Value& out,
                                napi_callback call, const char* where, const napi_type_tag* tag = nullptr) {
  const auto release = [](napi_env released_env, void* data, void*) {
    auto* released = static_cast<Reader*>(data);
    napi_delete_reference(released_env, released->buffer);
    delete released;
  };
  napi_value function = nullptr;
  if (napi_create_reference(env, out, 1, &reader->buffer) != napi_ok) {
    ThrowError(env, "ERR_BAD_ARGUMENT", "the buffer cannot be kept", where);
    return {};
  }
  if (napi_create_function(env, "read", NAPI_AUTO_LENGTH, call, reader.get(), &function) != napi_ok ||
      (tag != nullptr && napi_type_tag_object(env, function, tag) != napi_ok) ||
      napi_wrap(env, function, reader.get(), release, nullptr, nullptr) != napi_ok) {
    napi_delete_reference(env, reader->buffer);
    ThrowError(env, "ERR_BAD_ARGUMENT", "the function cannot be made", where);
    return {};
  }
  reader.release();
  return {env, function};
}

// The reader that the running function belongs to.
template <class Reader>
const Reader& ReaderOf(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  return *static_cast<const Reader*>(data);
}

// The reader of a function with this tag, null for anything else.
template <class Reader>
Reader* ReaderIn(const Napi::Value& function, const napi_type_tag& tag) {
  bool tagged = false;
  if (function.IsFunction()) napi_check_object_type_tag(function.Env(), function, &tag, &tagged);
  void* reader = nullptr;
  if (tagged) napi_unwrap(function.Env(), function, &reader);
  return static_cast<Reader*>(reader);
}

}  // namespace latchclock::binding
