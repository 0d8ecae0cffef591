#include "step_hazards.h"

#include <algorithm>

namespace latchclock {
namespace {

using Base = SteppedPolicy::Base;

constexpr uint64_t kOrigin = (uint64_t{1} << 45) + 12'345;
constexpr uint64_t kWide = uint64_t{1} << 30;
// Ahead of the counter: where a window that ends soon ends.
constexpr uint64_t kSoon = uint64_t{1} << 21;
constexpr uint64_t kLittle = uint64_t{1} << 18;
// Long against all that a read and a write take by themselves, so that a lag shows.
constexpr uint64_t kLong = uint64_t{1} << 22;
// Within a window.
constexpr uint64_t kJump = 16'777'259, kJumpBack = 131'101, kOtherHost = 134'223'457;
// Below the base of the later copy of every page, and within the window of the earlier one.
constexpr uint64_t kJumpDown = 40'000'003;
// Stores, in the middle of every update.
constexpr uint32_t kHalf = 6;
constexpr uint64_t kOtherGeneration = 9;
// Accesses: more than a reader makes in all its tries.
constexpr uint32_t kAllLater = 200;

constexpr SteppedPolicy kAtOnce{};
constexpr SteppedPolicy kBefore{.base = Base::kBefore};
constexpr SteppedPolicy kTouching{.base = Base::kTouching, .length = kLong};
constexpr SteppedPolicy kAhead{.base = Base::kAhead, .skew = kLittle};
constexpr SteppedPolicy kHold{.hold = true};
constexpr SteppedPolicy kBeside{.beside = true};
constexpr SteppedPolicy kSuccessor{.successor = true};

bool IsTwoWindow(const SteppableReader& reader) {
  return reader.protocol == ReaderProtocol::kTwoWindow ||
         reader.protocol == ReaderProtocol::kLiteralTwoWindow;
}

bool HasWindow(const SteppableReader& reader) {
  return reader.protocol != ReaderProtocol::kSeqlock && reader.protocol != ReaderProtocol::kLatch;
}

// How a page stands before the read. Ways: 0, the reader takes the copy that it tries first; 1, it goes on to
// the other one, whose window has the counter.
struct Start {
  uint32_t way = 0;
  bool fast_first = false;
  bool ends_soon = false;
  uint64_t origin = kOrigin;
  // Publications besides the two that every page has.
  uint32_t earlier = 0, further = 0;

  uint64_t Key() const {
    return origin << 4 | uint64_t{earlier != 0} << 3 | uint64_t{ends_soon} << 2 | uint64_t{fast_first} << 1 |
           way;
  }
};

void Prepare(const SteppableReader& reader, const Start& start, SteppedWorld* world) {
  world->Reset(reader.protocol, reader.wide, start.fast_first, start.origin);
  const uint64_t end = start.origin + kSoon;
  SteppedPolicy first = kAtOnce, second = kAtOnce;
  uint64_t second_at = start.origin - 31'000'037;
  const uint64_t first_at = start.origin - 67'000'019;
  uint64_t second_base = second_at;
  if (start.way == 1) {
    // Far enough back for two publications more: a base ahead of the counter is counter-behind.
    second_base = start.origin - 3 * kLittle;
    first.length = second_base - first_at;
    second.base = Base::kTouching;
    second_at = second_base - 1;
  }
  if (start.ends_soon) second.length = end - second_base;
  for (uint32_t i = 0; i < start.earlier; i++) {
    world->PublishAt(first_at - kLittle * (start.earlier - i), kAtOnce);
  }
  world->PublishAt(first_at, first);
  world->PublishAt(second_at, second);
  for (uint32_t i = 0; i < start.further; i++) world->PublishAt(second_at + kLittle * (i + 1), kAtOnce);
}

// Past the end of the window that holds now.
void PassWindow(SteppedWorld* world) {
  const uint64_t left = world->WindowEnd() - world->counter;
  world->Wait((static_cast<int64_t>(left) < 0 ? 0 : left) + kLittle);
}

class Plan {
 public:
  Plan(const SteppableReader& reader, const std::string& only, bool quick, StepThrough* through)
      : reader_(reader), only_(only), quick_(quick), through_(*through) {}

  std::list<StepLine> Run() {
    Updates();
    Deaths();
    Counters();
    Adjustments();
    Migrations();
    if (Wants("count-aba")) CountAba();
    // Of a reader that does not end the rest is left out.
    lines_.remove_if([](const StepLine& line) { return line.runs == 0; });
    return std::move(lines_);
  }

 private:
  bool Wants(const char* hazard) const { return only_.empty() || only_ == hazard; }

  StepLine* Line(const char* hazard, const char* variant) {
    for (StepLine& line : lines_) {
      if (line.hazard == hazard && line.variant == variant) return &line;
    }
    StepLine& line = lines_.emplace_back();
    line.hazard = hazard;
    line.variant = variant;
    return &line;
  }

  std::vector<uint32_t> Ways() const {
    return IsTwoWindow(reader_) ? std::vector<uint32_t>{0, 1} : std::vector<uint32_t>{0};
  }

  // Whether the first new rate is the faster one.
  std::vector<bool> Rates() const {
    return quick_ ? std::vector<bool>{false} : std::vector<bool>{false, true};
  }

  StepCase Case(const char* name, const Start& start) const {
    StepCase made;
    made.name = name;
    made.way = start.way;
    made.start = start.Key();
    made.init = [reader = reader_, start](SteppedWorld& world) { Prepare(reader, start, &world); };
    return made;
  }

  // The protocol's own way to publish.
  SteppedPolicy Main() const { return IsTwoWindow(reader_) ? kTouching : kAtOnce; }
  bool MainEndsSoon() const { return IsTwoWindow(reader_); }

  // Numbers of stores after which a writer can stop: all, or one for each page that this reader can tell
  // from another.
  template <class PrepareUpdate>
  std::vector<uint32_t> Stops(const Start& start, PrepareUpdate prepare, bool all) const {
    SteppedWorld& world = SingleStep::Live()->world;
    Prepare(reader_, start, &world);
    prepare(world);
    std::vector<uint32_t> stops{0};
    const auto in_line = [](uint16_t at, uint64_t from, uint64_t to) { return at >= from && at < to; };
    for (uint32_t i = 0; i + 1 < world.log.stores; i++) {
      const uint16_t at = world.log.at[i];
      bool seen = all || at == clock_page::kCountAt;
      for (const uint64_t copy : {0, 1}) {
        seen |=
            in_line(at, WindowAt(copy), WindowAt(copy) + clock_page::kWindowStride) ||
            at == CopyAt(copy) + clock_page::kMonotonicWhole ||
            in_line(at, CopyAt(copy) + clock_page::kSharedGroup, CopyAt(copy) + clock_page::kRealtimeWhole);
      }
      if (seen) stops.push_back(i + 1);
    }
    return stops;
  }

  std::vector<uint32_t> Stops(const Start& start, const SteppedPolicy& policy, bool all) const {
    return Stops(
        start, [&](SteppedWorld& world) { world.Prepare(policy); }, all);
  }

  // Time that passes where a writer is away: over the end of a window that ends soon.
  static Happening Away(bool ends_soon) {
    if (ends_soon) return [](SteppedWorld& world) { PassWindow(&world); };
    return [](SteppedWorld& world) { world.Wait(kLong); };
  }

  void Updates() {
    if (!Wants("update") && !Wants("writer-killed") && !Wants("writer-restarted")) return;
    for (const uint32_t way : Ways()) {
      for (const bool fast : Rates()) {
        Update("main", Main(), {.way = way, .fast_first = fast, .ends_soon = MainEndsSoon()});
        switch (reader_.protocol) {
          case ReaderProtocol::kSeqlock:
            Update("counter before", kBefore, {.way = way, .fast_first = fast});
            break;
          case ReaderProtocol::kLatchWindow:
          case ReaderProtocol::kLiteralLatchWindow:
            Update("windows touch", kTouching, {.way = way, .fast_first = fast, .ends_soon = true});
            break;
          case ReaderProtocol::kTwoWindow:
          case ReaderProtocol::kLiteralTwoWindow:
            Update("at once", kAtOnce, {.way = way, .fast_first = fast});
            break;
          case ReaderProtocol::kLatch:
            break;
        }
      }
    }
  }

  void Update(const char* variant, const SteppedPolicy& policy, const Start& start) {
    const bool main = std::string_view(variant) == "main";
    if (!Wants("update") && !main) return;
    StepLine* line = Wants("update") ? Line("update", variant) : nullptr;
    const Happening away = Away(start.ends_soon);
    if (line != nullptr) {
      StepCase whole = Case("whole updates", start);
      // Forms: one, two, three; the time passes after each, or before.
      whole.choices = {0, 1, 2, 3, 4, 5};
      whole.first = [=](SteppedWorld& world, uint32_t form) {
        for (uint32_t i = 0; i <= form / 2; i++) {
          if (form % 2 == 1) away(world);
          world.Publish(policy);
          if (form % 2 == 0) away(world);
        }
      };
      whole.line = line;
      whole.then = {{}, away};
      through_.Run(whole);

      StepCase stall = Case("a stall for ever, with three updates", start);
      stall.first = [=](SteppedWorld& world, uint32_t) {
        PassWindow(&world);
        for (int i = 0; i < 3; i++) {
          world.Publish(policy);
          away(world);
        }
      };
      stall.line = line;
      stall.then = {{}};
      through_.Run(stall);

      StepCase lapped = Case("a whole update, and the first stores of another", start);
      lapped.everywhere = false;
      lapped.choices = Stops(start, policy, !quick_);
      lapped.first = [=](SteppedWorld& world, uint32_t stores) {
        world.Publish(policy);
        away(world);
        world.Prepare(policy);
        world.Store(stores);
        away(world);
      };
      lapped.line = line;
      lapped.then = {{}, [](SteppedWorld& world) { world.StoreRest(); }};
      through_.Run(lapped);
    }

    StepCase split = Case("an update in two parts", start);
    split.everywhere = false;
    split.choices = Stops(start, policy, false);
    split.first = [=](SteppedWorld& world, uint32_t stores) {
      world.Prepare(policy);
      world.Store(stores);
      away(world);
    };
    split.splits = main && !start.fast_first ? splits_main_ : splits_other_;
    if (line != nullptr)
      split.seconds.push_back({line, [](SteppedWorld& world) { world.StoreRest(); }, {{}}});
    // The writer dies in its next update.
    if (main && Wants("writer-killed")) {
      split.seconds.push_back({Line("writer-killed", "main"),
                               [=](SteppedWorld& world) {
                                 world.StoreRest();
                                 world.Prepare(policy);
                                 world.Store(kHalf);
                               },
                               {{}}});
    }
    // Or has died in this one.
    if (main && Wants("writer-restarted")) {
      split.seconds.push_back(
          {Line("writer-restarted", "main"), [=](SteppedWorld& world) { world.Publish(policy); }, {{}}});
    }
    if (!split.seconds.empty()) through_.Run(split);
  }

  void Deaths() {
    for (const uint32_t way : Ways()) {
      for (const bool fast : Rates()) {
        const Start start{.way = way, .fast_first = fast, .ends_soon = MainEndsSoon()};
        Death(start, Away(start.ends_soon));
        // Without a window the end of one is no matter of the writer's: that is window-expired.
        if (HasWindow(reader_)) Death(start, [](SteppedWorld& world) { PassWindow(&world); });
      }
      if (IsTwoWindow(reader_)) Revision({.way = way, .fast_first = true, .ends_soon = true});
      if (Wants("writer-restarted")) NaiveSuccessor({.way = way});
    }
  }

  void Death(const Start& start, const Happening& away) {
    const SteppedPolicy policy = Main();
    const Happening between = Away(start.ends_soon);
    const Happening rest = [](SteppedWorld& world) { world.StoreRest(); };
    const Happening little = [](SteppedWorld& world) { world.Wait(kLittle); };
    for (const bool lapped : {false, true}) {
      StepCase death = Case(lapped ? "a writer away in its second update" : "a writer away", start);
      death.everywhere = false;
      death.choices = Stops(start, policy, !quick_);
      const auto stop = [=](SteppedWorld& world, uint32_t stores) {
        if (lapped) {
          world.Publish(policy);
          between(world);
        }
        world.Prepare(policy);
        world.Store(stores);
      };
      const auto run = [&](const char* hazard, const std::vector<Happening>& then) {
        if (!Wants(hazard)) return;
        death.line = Line(hazard, "main");
        death.then = then;
        through_.Run(death);
      };
      death.first = [=](SteppedWorld& world, uint32_t stores) {
        stop(world, stores);
        away(world);
      };
      run("writer-stalled", {{}, rest, little});
      run("writer-killed", {{}, little});
      // The successor is away in the middle of its own update.
      death.name = lapped ? "a writer dead in its second update" : "a writer dead";
      death.first = [=](SteppedWorld& world, uint32_t stores) {
        stop(world, stores);
        world.Wait(kLittle);
        world.Prepare(policy);
        world.Store(kHalf);
        away(world);
      };
      run("writer-restarted", {rest, {}});
    }
  }

  // A change of what was announced for a tick to come, by a writer that is away until that tick is over.
  void Revision(const Start& start) {
    if (!Wants("writer-stalled")) return;
    const SteppedPolicy policy = Main();
    StepCase revision = Case("another segment for a tick that was announced", start);
    revision.everywhere = false;
    revision.choices = Stops(start, policy, false);
    revision.first = [=](SteppedWorld& world, uint32_t stores) {
      world.Publish(policy);
      world.Prepare(policy);
      world.Store(stores);
      PassWindow(&world);
    };
    revision.line = Line("writer-stalled", "revised");
    revision.then = {{}, [](SteppedWorld& world) { world.StoreRest(); }};
    through_.Run(revision);
  }

  void NaiveSuccessor(const Start& start) {
    const bool two_window = IsTwoWindow(reader_);
    const bool latch = !two_window && reader_.protocol != ReaderProtocol::kSeqlock;
    const auto die = [=](SteppedWorld& world) {
      // So that the copy that the successor takes for whole, the first, is the one being written.
      if (two_window && (world.Count() & 3) != 3) {
        world.Publish(kAtOnce);
        if ((world.Count() & 3) != 3) world.Publish(kAtOnce);
        world.Wait(kLittle);
      }
      if (latch) {
        world.PrepareNaive(kAtOnce);
      } else {
        world.Prepare(kAtOnce);
      }
    };
    StepCase naive = Case("a dead writer, and the first stores of one that does not know", start);
    naive.everywhere = false;
    naive.choices.clear();
    const std::vector<uint32_t> deaths = Stops(start, die, false);
    const std::vector<uint32_t> stores = Stops(
        start, [](SteppedWorld& world) { world.PrepareNaive(kAtOnce); }, false);
    for (size_t i = 0; i < deaths.size(); i += quick_ ? 3 : 1) {
      for (size_t j = 0; j < stores.size(); j += quick_ ? 3 : 1) {
        naive.choices.push_back(deaths[i] * StoreLog::kMost + stores[j]);
      }
    }
    naive.first = [=](SteppedWorld& world, uint32_t form) {
      die(world);
      world.Store(form / StoreLog::kMost);
      world.Wait(kLittle);
      world.PrepareNaive(kAtOnce);
      world.Store(form % StoreLog::kMost);
      world.Wait(kLittle);
    };
    naive.line = Line("writer-restarted", "naive");
    naive.then = {{}, [](SteppedWorld& world) { world.StoreRest(); }};
    through_.Run(naive);
  }

  // One thing that happens, and the reads after it.
  void Once(const char* hazard, const char* variant, const char* name, const Start& start,
            const std::vector<uint32_t>& choices, const std::function<void(SteppedWorld&, uint32_t)>& happen,
            const std::vector<Happening>& then) {
    if (!Wants(hazard)) return;
    StepCase once = Case(name, start);
    once.choices = choices;
    once.first = happen;
    once.line = Line(hazard, variant);
    once.then = then;
    through_.Run(once);
  }

  // Two things, the second one at any boundary behind the first.
  void Twice(const char* hazard, const char* variant, const char* name, const Start& start,
             const std::vector<uint32_t>& choices, const std::function<void(SteppedWorld&, uint32_t)>& first,
             const Happening& second, const std::vector<Happening>& then) {
    if (!Wants(hazard)) return;
    StepCase twice = Case(name, start);
    twice.choices = choices;
    twice.everywhere = choices.size() <= 2;
    twice.first = first;
    twice.seconds = {{Line(hazard, variant), second, then}};
    twice.splits = splits_main_;
    through_.Run(twice);
  }

  void Counters() {
    const Happening little = [](SteppedWorld& world) { world.Wait(2 * kLittle); };
    for (const uint32_t way : Ways()) {
      const Start start{.way = way};
      Once("counter-behind", "main", "a base ahead of the counter", start, {0},
           [](SteppedWorld& world, uint32_t) { world.Publish(kAhead); }, {{}, little});
      Once("window-expired", "main", "the counter past the end", start, {0},
           [](SteppedWorld& world, uint32_t) { PassWindow(&world); }, {{}});
      Once("window-expired", "main", "the counter exactly at the end", start, {0},
           [](SteppedWorld& world, uint32_t) { world.HandNext(world.WindowEnd()); }, {{}});
      const Start near_zero{.way = way, .origin = uint64_t{0} - 2 * kLittle};
      Once("counter-wrapped", "through zero", "the counter through zero", near_zero, {0, 1, 2},
           [](SteppedWorld& world, uint32_t form) {
             if (form == 1) world.Publish(kAtOnce);
             world.Wait(4 * kLittle);
             if (form == 2) world.Publish(kAtOnce);
           },
           {{}, little});
      Once("counter-wrapped", "main", "the counter, wrapped, in the old window", start, {0, 1},
           [](SteppedWorld& world, uint32_t form) {
             world.Jump(form == 0 ? world.counter + kJump : world.counter - kJumpBack);
           },
           {{}});
    }
  }

  static void JumpBy(SteppedWorld* world, uint32_t form) {
    world->Jump(form == 0 ? world->counter + kJump : world->counter - kJumpBack);
  }

  void Adjustments() {
    const Happening publish = [](SteppedWorld& world) { world.Publish(kAtOnce); };
    const bool seqlock = reader_.protocol == ReaderProtocol::kSeqlock;
    const auto hold = [=](SteppedWorld& world) {
      if (seqlock) {
        world.Prepare(kAtOnce);
        world.Store(1);
      } else {
        world.Publish(kHold);
      }
    };
    // The next copy, of the new counter. A seqlock's is the one that it holds readers off with.
    const Happening go_on = [=](SteppedWorld& world) {
      if (seqlock) {
        world.StoreRest();
      } else {
        world.Publish(kAtOnce);
      }
    };
    for (const uint32_t way : Ways()) {
      const Start start{.way = way};
      Twice("adjust-held", "main", "held and moved, then the next copy", start, {0, 1},
            [=](SteppedWorld& world, uint32_t form) {
              hold(world);
              JumpBy(&world, form);
            },
            go_on, {{}});
      for (const uint32_t form : {0u, 1u}) {
        const Happening move = [=](SteppedWorld& world) {
          JumpBy(&world, form);
          go_on(world);
        };
        Twice("adjust-held", "main", form == 0 ? "held, then moved ahead" : "held, then moved back", start,
              {0}, [=](SteppedWorld& world, uint32_t) { hold(world); }, move, {{}});
        if (seqlock || (quick_ && form == 1)) continue;
        Twice(
            "adjust-held", "main", "the first stores of the hold, then the others", start,
            Stops(start, kHold, false),
            [](SteppedWorld& world, uint32_t stores) {
              world.Prepare(kHold);
              world.Store(stores);
            },
            [=](SteppedWorld& world) {
              world.StoreRest();
              move(world);
            },
            {{}});
      }
      Once("adjust-unheld", "main", "the counter moved", start, {0, 1},
           [](SteppedWorld& world, uint32_t form) { JumpBy(&world, form); }, {{}, publish});
    }
  }

  void Migrations() {
    const Happening publish = [](SteppedWorld& world) { world.Publish(kAtOnce); };
    for (const uint32_t way : Ways()) {
      const Start start{.way = way};
      // Hosts with the same count as ours, and with one and two publications more.
      auto others = std::make_shared<std::array<SteppedWorld, 3>>();
      for (uint32_t i = 0; i < others->size(); i++) {
        SteppedWorld& other = (*others)[i];
        MakeOther({.way = way, .fast_first = true, .origin = kOrigin + kOtherHost, .further = i}, &other);
      }
      const auto become = [others](SteppedWorld& world, uint32_t i) { world.Become((*others)[i]); };
      Once("migration-different", "main", "another host", start, {1, 2}, become, {{}, publish});
      HostBehind(way);
      Once("migration-equal", "main", "another host", start, {0}, become, {{}, publish});

      const auto move = [](SteppedWorld& world, uint32_t form) {
        JumpBy(&world, form);
        world.SetGeneration(kOtherGeneration);
      };
      Once("migration-own-page", "main", "counter and generation", start, {0, 1}, move, {{}, publish});
      Twice("migration-own-page", "main", "counter and generation, then an update", start, {0, 1}, move,
            publish, {{}});

      const auto jump = [](SteppedWorld& world, uint32_t form) { JumpBy(&world, form); };
      const Happening generation = [](SteppedWorld& world) { world.SetGeneration(kOtherGeneration); };
      Twice("generation-late", "main", "the counter, then the generation", start, {0, 1}, jump, generation,
            {{}, publish});
      DeathAfterMigration(start);
      for (const uint32_t form : {0u, 1u}) {
        const Happening second = [=](SteppedWorld& world) { JumpBy(&world, form); };
        Twice("generation-early", "main", "the generation and an update, then the counter", start, {form},
              [=](SteppedWorld& world, uint32_t) {
                generation(world);
                world.Publish(kAtOnce);
                world.Wait(kLittle);
              },
              second, {{}, publish});
        Twice("generation-early", "no writer", "the generation, then the counter", start, {form},
              [=](SteppedWorld& world, uint32_t) { generation(world); }, second, {{}, publish});
      }
    }
  }

  // The counter moves down with the generation, and the writer dies in its first update after that, or behind
  // it: of two windows the copy of before is on offer beside the new one, and starts later. Another writer
  // goes on from what it finds.
  void DeathAfterMigration(const Start& start) {
    if (!Wants("writer-killed-after-migration")) return;
    StepLine* line = Line("writer-killed-after-migration", "main");
    const Happening succeed = [](SteppedWorld& world) {
      world.Wait(kLittle);
      world.Publish(kSuccessor);
      world.Wait(kLittle);
    };
    for (const uint64_t down : {kJumpBack, kJumpDown}) {
      const auto move_and_prepare = [=](SteppedWorld& world) {
        world.Jump(world.counter - down);
        world.SetGeneration(kOtherGeneration);
        world.Prepare(kBeside);
      };
      StepCase death = Case("a move down, and a writer that dies in its update", start);
      death.everywhere = false;
      death.choices = Stops(start, move_and_prepare, !quick_);
      death.choices.push_back(StoreLog::kMost);
      death.first = [=](SteppedWorld& world, uint32_t stores) {
        move_and_prepare(world);
        world.Store(stores);
        world.Wait(kLittle);
      };
      death.line = line;
      death.then = {{}, succeed, {}};
      through_.Run(death);
      Twice("writer-killed-after-migration", "main", "a move down, an update and a death, then a new writer",
            start, {0},
            [=](SteppedWorld& world, uint32_t) {
              move_and_prepare(world);
              world.StoreRest();
              world.Wait(kLittle);
            },
            succeed, {{}});
    }
  }

  // Another host whose count its writer's next update brings to ours, so that the count that was loaded first
  // comes back with the other host's copies. (two-window, way 1: by offering both copies, as we do.)
  void HostBehind(uint32_t way) {
    if (!Wants("migration-different")) return;
    const Start start{.way = way, .earlier = 1};
    auto other = std::make_shared<SteppedWorld>();
    MakeOther({.fast_first = true, .ends_soon = way == 1, .origin = kOrigin + kOtherHost}, other.get());
    const SteppedPolicy policy = way == 1 ? kTouching : kAtOnce;
    SteppedWorld& made = SingleStep::Live()->world;
    Prepare(reader_, start, &made);
    const uint64_t count = made.Count();
    made.Become(*other);
    made.Publish(policy);
    if (made.Count() != count) __builtin_trap();
    const Happening publish = [=](SteppedWorld& world) { world.Publish(policy); };
    Twice("migration-different", "behind", "a host whose count is behind, then its update", start, {0},
          [other](SteppedWorld& world, uint32_t) { world.Become(*other); }, publish, {{}});
    const auto prepare = [=](SteppedWorld& world) {
      world.Become(*other);
      world.Prepare(policy);
    };
    Twice(
        "migration-different", "behind", "a host whose count is behind, in its update", start,
        Stops(start, prepare, false),
        [=](SteppedWorld& world, uint32_t stores) {
          prepare(world);
          world.Store(stores);
        },
        [](SteppedWorld& world) { world.StoreRest(); }, {{}});
  }

  void MakeOther(const Start& start, SteppedWorld* other) const {
    SteppedWorld& world = SingleStep::Live()->world;
    Prepare(reader_, start, &world);
    const uint64_t base = world.segments[0].base;
    // Another host: other values, another generation in the copies as well.
    world.generation = kOtherGeneration;
    for (uint32_t i = 0; i < world.segment_count; i++) {
      world.segments[i].whole += 4'000'000'000'000 + (world.segments[i].base - base) % 7;
      world.segments[i].tag = kOtherGeneration;
    }
    for (const uint64_t copy : {0, 1}) {
      if (world.copies[copy] < 0) continue;
      const SteppedSegment& segment = world.segments[world.copies[copy]];
      StoreWord(world.page, WindowAt(copy) + clock_page::kTagIn, segment.tag);
      StoreWord(world.page, CopyAt(copy) + clock_page::kMonotonicWhole, segment.whole);
    }
    *other = world;
  }

  void CountAba() {
    const Start start{};
    // As many updates as bring a copy's turn round.
    const bool one_copy = reader_.protocol == ReaderProtocol::kSeqlock;
    Once("count-aba", "main", "updates, and the count as it was", start,
         one_copy ? std::vector<uint32_t>{1, 2} : std::vector<uint32_t>{2},
         [](SteppedWorld& world, uint32_t updates) {
           const uint64_t count = world.Count();
           for (uint32_t i = 0; i < updates; i++) {
             world.Publish(kAtOnce);
             world.Wait(kLittle);
           }
           world.SetCount(count);
         },
         {{}});
  }

  const SteppableReader& reader_;
  const std::string& only_;
  const bool quick_;
  const uint32_t splits_main_ = quick_ ? 3 : kAllLater;
  const uint32_t splits_other_ = quick_ ? 2 : 6;
  StepThrough& through_;
  std::list<StepLine> lines_;
};

}  // namespace

std::list<StepLine> StepHazards(const SteppableReader& reader, const std::string& only, bool quick,
                                StepThrough* through) {
  return Plan(reader, only, quick, through).Run();
}

}  // namespace latchclock
