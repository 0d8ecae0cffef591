/* The processes, after the protocol's own words: who writes, who reads, how time passes, what happens. */

#ifndef UPDATES
#define UPDATES 2
#endif

#define standsStill (hazard == COUNTER_BEHIND || hazard == WINDOW_EXPIRED)
#define needsUpdates (hazard <= WRITER_RESTARTED || hazard == MIGRATION_OWN_PAGE || hazard == COUNT_ABA)
#define needsEvent (!standsStill && hazard != UPDATE && hazard != WRITER_STALLED && hazard != ADJUST_HELD && hazard != COUNT_ABA)

/* Time passes between any two steps. */
proctype Time() {
end:
  do
  :: d_step { counter < LAST && !over -> counter++; observe() }
  od
}

proctype Writer(byte updates; bool isSuccessor; bool naive) provided (!paused) {
  byte wCount;
  byte wTag;
  byte made;
  byte task;
  byte before;
  byte kept;
  byte k;
  bool late;
  {
    atomic {
      if
      :: isSuccessor -> takeOver()
      :: else
      fi;
      if
      :: hazard == ADJUST_HELD && HOLDS_BY_COPY -> task = PUBLISH_DISABLED
      :: hazard == ADJUST_HELD && !HOLDS_BY_COPY -> task = PUBLISH_ADJUSTED
      :: else
      fi
    };
again:
    publish();
    if
    :: atomic { task == PUBLISH_DISABLED -> task = PUBLISH_ADJUSTED; jump(); observe() };
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
#ifdef PROP_ORDERED
returned:
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
    :: hazard == MIGRATION_DIFFERENT -> count = count + 64
    :: else
    fi;
    migratePage();
    published = made;
    current = bit(made);
    observe();
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
    :: hazard == COUNTER_WRAPPED -> atomic { counter = START + 1; epoch++; observe() }
    :: hazard == ADJUST_UNHELD -> atomic { jump(); observe() }
    :: hazard == MIGRATION_DIFFERENT || hazard == MIGRATION_EQUAL -> migrate()
    :: hazard == MIGRATION_OWN_PAGE -> atomic { jump(); generation++; observe() }
    :: hazard == GENERATION_LATE ->
      atomic { jump(); observe() };
      d_step { generation++; observe() }
    :: hazard == GENERATION_EARLY ->
      d_step { generation++; paused = (variant == NO_WRITER_BETWEEN); observe() };
      atomic { jump(); paused = false; observe() }
    fi
  } unless { over }
}

init {
  byte wTag;
  byte made;
  atomic {
    c_code {
      now.hazard = chosen("HAZARD", hazardNames);
      now.variant = chosen("VARIANT", variantNames);
    };
    chooseRates();
    counter = START;
    segment[0].whole = 100;
    make((hazard == COUNTER_BEHIND -> START + 2 : START - 1), windowLength, rate(0), 0);
    segment[0].whole = 100;
    open();
    published = 0;
    current = 1;
    run Time();
    run Reader();
    if
    :: needsEvent -> run Event()
    :: else
    fi;
    if
    :: needsUpdates -> run Writer(UPDATES, false, false)
    :: !standsStill && !needsUpdates -> run Writer(1, false, false)
    :: standsStill
    fi
  }
}
