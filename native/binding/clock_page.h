#pragma once

#include <napi.h>

#include <memory>

#include "../core/clock_page_reader.h"
#include "../core/page_mapping.h"
#include "arguments.h"

namespace latchclock::binding {

// The mapping of a ClockPageMemory, null with an exception pending for anything else.
std::shared_ptr<PageMapping> MappingOf(const Napi::Value& value, const char* where);

// Three arguments from `index` on: protocol, generation, wide.
ReaderKind ReaderKindAt(Arguments* arguments, size_t index);

}  // namespace latchclock::binding
