{
  "targets": [
    {
      "target_name": "latchclock",
      "sources": [
        "native/addon.cc",
        "native/binding/arguments.cc",
        "native/binding/bracket.cc",
        "native/binding/clock_call.cc",
        "native/binding/clock_page.cc",
        "native/binding/clock_reader.cc",
        "native/binding/counter.cc",
        "native/binding/errors.cc",
        "native/binding/latch_stress.cc",
        "native/binding/lock_step.cc",
        "native/binding/memory.cc",
        "native/binding/page_recorder.cc",
        "native/binding/posix_clock.cc",
        "native/binding/reader_bench.cc",
        "native/binding/thread.cc",
        "native/core/asked_call.cc",
        "native/core/bad_pointer_probe.cc",
        "native/core/bracket.cc",
        "native/core/call_bracket.cc",
        "native/core/clock_call.cc",
        "native/core/counter.cc",
        "native/core/cpu_affinity.cc",
        "native/core/current_cpu.cc",
        "native/core/fast_path_probe.cc",
        "native/core/fault_safe_copy.cc",
        "native/core/forked_call.cc",
        "native/core/kernel_page.cc",
        "native/core/latch_stress.cc",
        "native/core/lock_step.cc",
        "native/core/page_mapping.cc",
        "native/core/page_recorder.cc",
        "native/core/ping_pong.cc",
        "native/core/pinned_threads.cc",
        "native/core/posix_clock.cc",
        "native/core/reader_bench.cc",
        "native/core/vdso_image.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": [
        "NAPI_VERSION=9",
        "NAPI_DISABLE_CPP_EXCEPTIONS",
        "NODE_ADDON_API_DISABLE_DEPRECATED",
        # A worker that is terminated while native code runs takes neither result nor exception: that must not be fatal.
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
      ],
      "cflags_cc": ["-std=c++20", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden"],
      "libraries": ["-ldl", "-lpthread"],
      # Node unloads an addon with the last worker that uses it; the process keeps the handler of SIGBUS that lies in it.
      "ldflags": ["-Wl,-z,nodelete"]
    },
    {
      # The instruction stepper: a program of its own, with the readers compiled as in the addon.
      "target_name": "reader-stepper",
      "type": "executable",
      "sources": [
        "native/tools/machine_code.cc",
        "native/tools/reader_stepper.cc",
        "native/tools/single_step.cc",
        "native/tools/step_hazards.cc",
        "native/tools/step_through.cc",
        "native/tools/steppable_readers.cc",
        "native/tools/stepped_world.cc"
      ],
      "include_dirs": ["native/core"],
      "cflags_cc": ["-std=c++20", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden"]
    }
  ]
}
