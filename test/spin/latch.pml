/* Two copies, copy[count & 1]. With LOOKS_AT_WINDOW: latch-window; with LITERAL besides: the seed's sketch of it. */
#include "world.pml"

#define windowsTouch (variant == TOUCHING)

inline storeCount(to) {
  count = (hazard == COUNT_ABA -> (to) & 1 : (to));
  current = bitOf(held[count & 1]);
  note(held[count & 1]);
  observe()
}

#ifdef LOOKS_AT_WINDOW
#define DISABLED_MULT rate(segments)
#else
#define DISABLED_MULT 0
#endif

/* Nobody else stores the count: its load goes with the step before it. */
inline publish() {
  LOAD_WRITERS_GENERATION
  d_step {
    if
    :: task == PUBLISH_DISABLED -> make(counter, 0, DISABLED_MULT, published)
    :: task != PUBLISH_DISABLED && windowsTouch -> make(endOf(published), windowLength, rate(segments), published)
    :: else -> make(counter, windowLength, rate(segments), published)
    fi;
    startAnew(published);
#ifdef WRONG_COPY
    k = count & 1
#else
    k = 1 - (count & 1)
#endif
  };
  if
  :: d_step { variant == NAIVE -> storeCount(count + 1) };
    /* The kernel's: both copies, with a flip before each. */
    storeWords(0);
    d_step { storeCount(count + 1); k = 1 }
  :: variant != NAIVE
  fi;
  storeWords(k);
  if
  :: d_step { variant != NAIVE -> storeCount(count + 1) }
  :: variant == NAIVE
  fi
}

#define HAS_TWO_COPIES true

inline takeOver() { skip }

inline open() {
  setCopy(0, 0);
  if
  :: variant == NAIVE -> setCopy(1, 0)
  :: else -> held[1] = NONE
  fi;
  count = 0
}

inline migratePage() {
  setCopy(0, made);
  setCopy(1, made)
}

/* By one update. */
inline putCountBehind() { count = count - 1 }

inline take() {
#if defined(TAGGED) || defined(UNTAGGED)
  d_step { begin(); rGeneration = generation };
  rCount = count;
#else
  d_step { begin(); rCount = count };
#endif
  loadWords(rCount & 1);
#ifdef LOOKS_AT_WINDOW
  atomic {
    readCounter();
    if
    :: inWindow(rCounter, rBase, rMaxDelta)
#ifndef LITERAL
    :: else -> goto ended
    fi
  };
#else
    :: else -> goto outside
    fi
  };
  goto last;
outside:
  /* `continue` goes to the condition of the loop: the count is the same, and the loop ends. */
  atomic {
    if
    :: count != rCount -> goto ended
    :: else
    fi;
    give(UNSET)
  };
last:
#endif
#else
  readCounter();
#endif
  check()
}

#include "run.pml"
