/* The processes, after the protocol's own words: who writes, who reads, how time passes, what happens. */

#define isAnotherHost (hazard == MIGRATION_DIFFERENT || hazard == MIGRATION_EQUAL)
#define isStop (hazard == WRITER_KILLED || hazard == WRITER_RESTARTED)
#define isNewMeaning (isAnotherHost || hazard == MIGRATION_OWN_PAGE || hazard == ADJUST_UNHELD)
#define isOddGeneration (hazard == GENERATION_LATE || hazard == GENERATION_EARLY)
#define needsEvent (isStop || hazard == KILLED_AFTER_MIGRATION || isNewMeaning || isOddGeneration || hazard == COUNTER_WRAPPED)

#ifdef LITERAL
/* What is wrong with the sketches shows where a window ends. */
#define TICKS_WITH_ANOTHER_HOST 3
#else
#define TICKS_WITH_ANOTHER_HOST 2
#endif

/* How much happens: what the story of each hazard needs. */
inline chooseBounds() {
  if
  :: hazard == UPDATE -> updates = 3; ticks = 3
  :: hazard == WRITER_STALLED -> updates = 2; ticks = 4
  :: hazard == WRITER_KILLED || hazard == COUNT_ABA -> updates = 2; ticks = 3
  :: hazard == WRITER_RESTARTED && variant == NAIVE -> updates = 2; ticks = 3
  :: hazard == MIGRATION_OWN_PAGE -> updates = 2; ticks = 2
  :: hazard == KILLED_AFTER_MIGRATION -> updates = 1; ticks = 2
  /* The page that is left rests: the other host's writer makes up for the difference. */
  :: variant == BEHIND -> updates = 0; ticks = TICKS_WITH_ANOTHER_HOST
  :: isAnotherHost && variant != BEHIND -> updates = 1; ticks = TICKS_WITH_ANOTHER_HOST
  :: hazard == COUNTER_BEHIND || hazard == WINDOW_EXPIRED -> updates = 0; ticks = 3
  :: else -> updates = 1; ticks = 3
  fi
}

/* Time passes between any two steps. */
proctype Time() {
end:
  do
  :: d_step { ticks > 0 && !over -> ticks--; counter++; observe() }
  od
}

proctype Writer(byte updates; bool isSuccessor; bool naive) provided (!paused || over) {
  byte wCount;
  byte wTag;
  byte made;
  byte task;
  byte before;
  byte kept;
  byte k;
  /* A successor: the kept window may have ended. */
  bool late;
  {
    atomic {
      if
      :: isSuccessor -> takeOver()
      :: else
      fi;
      if
      :: hazard == ADJUST_HELD && HAS_TWO_COPIES -> task = PUBLISH_DISABLED
      :: hazard == ADJUST_HELD && !HAS_TWO_COPIES -> task = PUBLISH_ADJUSTED
      :: else
      fi
    };
again:
    publish();
    if
    :: atomic { task == PUBLISH_DISABLED -> task = PUBLISH_ADJUSTED; jump(); d_step { observe() } };
      goto again
    :: d_step { task != PUBLISH_DISABLED && updates > 1 -> updates--; task = PUBLISH };
      goto again
    :: task != PUBLISH_DISABLED && updates <= 1
    fi
  } unless {
    over || (stopped && !isSuccessor)
  }
}

proctype Reader() {
  byte rCount;
  byte rGeneration;
  byte rBase;
  byte rMaxDelta;
  byte rTag;
  byte rMult;
  short rWhole;
  byte rCounter;
  byte rHost;
  short value;
#ifdef PROP_ORDERED
  bool isSecond;
  short firstValue;
  byte firstHost;
again:
#endif
  take();
returned:
#ifdef PROP_RIGHT
  assert(isRight);
#else
  if
  :: isSecond -> assert(rHost != firstHost || firstValue <= value)
  :: else ->
    d_step {
      isSecond = true;
      firstValue = value;
      firstHost = rHost;
      rCount = 0; rGeneration = 0; rBase = 0; rMaxDelta = 0; rTag = 0; rMult = 0; rWhole = 0; rCounter = 0;
      rHost = 0; value = 0
    };
    goto again
  fi;
#endif
ended:
  over = true
}

/* Page, counter and generation become another host's, at one instant. */
inline migrate() {
  atomic {
    stopped = true;
    jump();
    generation++;
    wTag = generation;
    make(counter - 1, windowLength, rate(segments), 0);
    segment[made].whole = 200;
    if
    :: hazard == MIGRATION_DIFFERENT && variant != BEHIND -> count = count + 64
    :: hazard == MIGRATION_DIFFERENT && variant == BEHIND -> putCountBehind()
    :: else
    fi;
    migratePage();
    published = made;
    current = bitOf(made);
    d_step { observe() };
    run Writer(1, true, false)
  }
}

proctype Event() {
  byte wTag;
  byte made;
  byte k;
  {
    if
    :: hazard == WRITER_KILLED -> stopped = true
    :: hazard == WRITER_RESTARTED -> atomic { stopped = true; run Writer(1, true, variant == NAIVE) }
    :: hazard == COUNTER_WRAPPED -> atomic { counter = START + 1; epoch++; d_step { observe() } }
    :: hazard == ADJUST_UNHELD -> atomic { jump(); d_step { observe() } }
    :: isAnotherHost -> migrate()
    :: hazard == MIGRATION_OWN_PAGE -> atomic { jump(); generation++; d_step { observe() } }
    :: hazard == KILLED_AFTER_MIGRATION ->
      atomic { jump(); generation++; d_step { observe() } };
      atomic { stopped = true; run Writer(1, true, false) }
    :: hazard == GENERATION_LATE ->
      atomic { jump(); d_step { observe() } };
      d_step { generation++; observe() }
    :: hazard == GENERATION_EARLY ->
      d_step { generation++; paused = (variant == NO_WRITER_BETWEEN); observe() };
      atomic { jump(); paused = false; d_step { observe() } }
    fi
  } unless { over }
}

init {
  byte updates;
  byte wTag;
  byte made;
  atomic {
    c_code {
      now.hazard = chosen("HAZARD", hazardNames);
      now.variant = chosen("VARIANT", variantNames);
    };
    chooseRates();
    chooseBounds();
    counter = START;
    /* A counter that moves down is to come before the base, too. */
    make((hazard == COUNTER_BEHIND -> START + 2 : START - (hazard != KILLED_AFTER_MIGRATION)), windowLength, rate(0), 0);
    segment[0].whole = 100;
    open();
    if
    :: variant == BEHIND -> count = count + 64
    :: else
    fi;
    published = 0;
    current = 1;
    run Time();
    run Reader();
    if
    :: needsEvent -> run Event()
    :: else
    fi;
    if
    :: updates > 0 -> run Writer(updates, false, false)
    :: else
    fi
  }
}
