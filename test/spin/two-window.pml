/* Bit 0 of the count: the copy to try first. Bit 1: only that one. The bits above count the stores. */
#define LOOKS_AT_WINDOW
#include "world.pml"

#define windowsTouch (variant != OVERLAP && variant != BEHIND)
#define ONLY 2
#define numbered(low) (hazard == COUNT_ABA -> (low) : (count / 4 + 1) * 4 + (low))

inline storeCount(low) {
  count = numbered(low);
  current = bitOf(held[count & 1]);
  if
  :: count & ONLY
  :: else -> current = current | bitOf(held[1 - (count & 1)])
  fi;
  observe()
}

#define hasCounter(k) inWindow(counter, copy[k].base, copy[k].maxDelta)
/* The next segment starts now, and not where the kept one ends. */
#define fromNow (task == PUBLISH_ADJUSTED || !windowsTouch || isForeign(before) || (late && counter >= endOf(before)))
/* It is offered alone: the kept one has no window that ends where the next starts. */
#define isAlone (task != PUBLISH || !windowsTouch)

/* Nobody else stores the count: its load goes with the step after it. */
inline publish() {
  LOAD_WRITERS_GENERATION
  d_step {
    before = published;
    if
    :: held[kept] == NONE
    :: else ->
      if
      :: segment[held[kept]].maxDelta == 0
      :: else -> before = held[kept]
      fi
    fi;
    if
    :: task == PUBLISH_DISABLED -> make(counter, 0, rate(segments), before)
    :: task != PUBLISH_DISABLED && fromNow -> make(counter, windowLength, rate(segments), before)
    :: else -> make(endOf(before), windowLength, rate(segments), before)
    fi;
    startAnew(before);
    before = 0
  };
  d_step { k = 1 - kept; storeCount(ONLY | kept) };
  storeWords(k);
  /* Of two that are offered either may be named first. */
  if
  :: d_step { isAlone -> storeCount(ONLY | k); note(made); kept = k }
  :: d_step { !isAlone -> storeCount(kept); note(made); kept = k }
  :: d_step { !isAlone -> storeCount(k); note(made); kept = k }
  fi
}

#define HAS_TWO_COPIES true

#ifdef TAGGED
#define isOfNow(k) (copy[k].tag == generation)
#define isOneOfNow (variant != TAGS_IGNORED && isOfNow(0) != isOfNow(1))
#else
#define isOfNow(k) false
#define isOneOfNow false
#endif

/*
 * The copy that a new writer keeps: the only one offered; of two the one of the generation of now, and if both are, or
 * neither, the one that starts later. (With tags-ignored the later one in any case.) One step, since the page
 * stands still until then. The naive one always keeps copy 0. The variant keeps-by-counter keeps the one of two whose
 * window has the counter, else the first: all that can change until its first store is the counter.
 */
inline takeOver() {
  late = true;
  kept = (naive -> 0 : count & 1);
  if
  :: naive || (count & ONLY)
  :: !naive && !(count & ONLY) && variant != KEEPS_BY_COUNTER -> 
    kept = (isOneOfNow -> isOfNow(1) : copy[1].base > copy[0].base)
  :: else ->
    if
    :: !hasCounter(kept) && hasCounter(1 - kept) -> kept = 1 - kept
    :: else
    fi
  fi
}

inline open() {
  setCopy(0, 0);
  held[1] = NONE;
  count = ONLY
}

inline migratePage() {
  k = (count & ONLY -> count & 1 : 0);
  setCopy(k, made);
  k = 1 - k;
  if
  :: variant == BEHIND -> setCopy(k, made)
  :: else ->
    copy[k].maxDelta = 0;
    held[k] = NONE
  fi
}

/* By one update at once, which is two stores of the count: the copy to come is not on offer yet. */
inline putCountBehind() { count = (count ^ 1) - 8 }

#ifdef LITERAL
/*
 * The sketch compares with the base. Readings are counted from an origin here, which is far above any window's length.
 * `continue` goes to the condition, and that is the wrong way round: the loop goes on while the count is the same.
 */
#define ORIGIN 100
#define fits (rCounter >= rBase && rCounter - rBase < ORIGIN + rBase)
#else
#define fits inWindow(rCounter, rBase, rMaxDelta)
#endif

inline take() {
#ifdef TAGGED
  d_step { begin(); rGeneration = generation };
  rCount = count;
#else
  d_step { begin(); rCount = count };
#endif
  loadWords(rCount & 1);
  atomic {
    readCounter();
    if
    :: fits -> goto last
    :: !(fits) && (rCount & ONLY) -> goto outside
    :: else
    fi
  };
  rBase = copy[1 - (rCount & 1)].base;
  rMaxDelta = copy[1 - (rCount & 1)].maxDelta;
#ifdef TAGGED
  rTag = copy[1 - (rCount & 1)].tag;
#endif
  rMult = copy[1 - (rCount & 1)].mult;
  atomic {
    rWhole = copy[1 - (rCount & 1)].whole;
    if
    :: fits -> goto last
    :: else -> goto outside
    fi
  };
outside:
#ifdef LITERAL
  atomic {
    if
    :: count == rCount -> goto ended
    :: else
    fi;
    give(UNSET)
  };
last:
  atomic {
    if
    :: count == rCount -> goto ended
    :: else
    fi;
    give(result)
  }
#else
  goto ended;
last:
  check()
#endif
}

#include "run.pml"
