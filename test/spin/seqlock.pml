/* One copy; odd while a writer writes. */
#include "world.pml"

#define windowsTouch false

inline storeCount(to) {
  count = (hazard == COUNT_ABA -> (to) & 1 : (to));
  if
  :: count & 1
  :: else -> current = bitOf(held[0]); note(held[0])
  fi;
  observe()
}

inline readWritersCounter() {
  make(counter, windowLength, rate(segments), published);
  startAnew(published)
}

/* An odd count was left by a writer that died. */
#define oddCount (count + 1 + (count & 1) * !naive)

/* Nobody else stores the count: its load goes with the step after it. */
inline publish() {
  if
  :: variant == COUNTER_BEFORE_SECTION ->
    LOAD_WRITERS_GENERATION
    d_step { readWritersCounter() };
    d_step { wCount = oddCount; storeCount(wCount) }
  :: d_step { variant != COUNTER_BEFORE_SECTION -> wCount = oddCount; storeCount(wCount) };
    if
    :: atomic { task == PUBLISH_ADJUSTED -> jump(); d_step { observe() } }
      LOAD_WRITERS_GENERATION
      d_step { readWritersCounter() }
#ifdef TAGGED
    :: d_step { task != PUBLISH_ADJUSTED -> wTag = generation };
      d_step { readWritersCounter() }
#else
    :: d_step { task != PUBLISH_ADJUSTED -> readWritersCounter() }
#endif
    fi
  fi;
  storeWords(0);
  d_step { storeCount(wCount + 1) }
}

/* With one copy the odd count holds the page: there is no copy to publish for that. */
#define HAS_TWO_COPIES false

inline takeOver() { skip }

inline open() {
  setCopy(0, 0);
  count = 0
}

inline migratePage() {
  setCopy(0, made);
  count = count + (count & 1)
}

/* By one update. */
inline putCountBehind() { count = count - 2 }

inline take() {
#if (defined(TAGGED) || defined(UNTAGGED)) && !defined(GENERATION_BEHIND_COUNT)
  d_step { begin(); rGeneration = generation };
  atomic {
    rCount = count;
#else
  atomic {
    d_step { begin(); rCount = count };
#endif
#ifndef ODD_IGNORED
    if
    :: rCount & 1 -> goto ended
    :: else
    fi
#endif
  };
#ifdef GENERATION_BEHIND_COUNT
  LOAD_GENERATION
#endif
  loadWords(0);
  readCounter();
  check()
}

#include "run.pml"
