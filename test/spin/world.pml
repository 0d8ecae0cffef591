/*
 * The world around a clock page, for every protocol: the counter, the page's words, and the judge. docs/clock-page.md
 * says what readers and writers do; README.md beside this file, what is abstracted and why that is sound.
 *
 * Compiled for one reader and one property (PROP_RIGHT or PROP_ORDERED). The hazard and its variant are chosen when
 * the search starts, by the environment: a search explores one hazard.
 *
 * A step is one load or store of a word, or one counter reading. What is added to a step by d_step is local to its
 * process, or ghost: words that no reader and no writer looks at.
 */

/* In the order of hazardNames and variantNames. */
#define UPDATE 0
#define WRITER_STALLED 1
#define WRITER_KILLED 2
#define WRITER_RESTARTED 3
#define COUNTER_BEHIND 4
#define WINDOW_EXPIRED 5
#define COUNTER_WRAPPED 6
#define ADJUST_HELD 7
#define ADJUST_UNHELD 8
#define MIGRATION_DIFFERENT 9
#define MIGRATION_EQUAL 10
#define MIGRATION_OWN_PAGE 11
#define GENERATION_LATE 12
#define GENERATION_EARLY 13
#define COUNT_ABA 14
#define KILLED_AFTER_MIGRATION 15

#define MAIN 0
#define TOUCHING 1
#define COUNTER_BEFORE_SECTION 2
#define OVERLAP 3
#define NAIVE 4
#define BACK_INTO_WINDOW 5
#define NO_WRITER_BETWEEN 6
#define ENDLESS 7
#define KEEPS_BY_COUNTER 8
#define BEHIND 9
#define TAGS_IGNORED 10

c_decl {
  static const char *const hazardNames[] = {
    "update", "writer-stalled", "writer-killed", "writer-restarted", "counter-behind", "window-expired",
    "counter-wrapped", "adjust-held", "adjust-unheld", "migration-different", "migration-equal",
    "migration-own-page", "generation-late", "generation-early", "count-aba", "writer-killed-after-migration",
    NULL };
  static const char *const variantNames[] = {
    "main", "touching", "counter-before-section", "overlap", "naive", "back-into-window", "no-writer-between",
    "endless", "keeps-by-counter", "behind", "tags-ignored", NULL };
  static unsigned char chosen(const char *variable, const char *const *names) {
    const char *name = getenv(variable);
    for (unsigned char i = 0; name != NULL && names[i] != NULL; i++)
      if (strcmp(names[i], name) == 0) return i;
    fprintf(stderr, "%s is not a name that the model knows\n", variable);
    exit(2);
  }
}

byte hazard;
byte variant;

#define START 2
/* How often the counter may still move on by one. */
byte ticks;
byte counter;
byte generation;

typedef Copy {
  byte base;
  byte maxDelta;
  byte tag;
  byte mult;
  short whole
}
byte count;
Copy copy[2];

/* ---- ghost ---- */

#define NONE 15
/* Which counter this is: it moves on whenever the same instant would have had another reading. */
byte epoch;
typedef Segment {
  byte base;
  byte maxDelta;
  byte tag;
  byte epoch;
  byte mult;
  short whole
}
#define SEGMENTS 4
Segment segment[SEGMENTS];
byte segments;
/* Bit i: segment i is published, and not superseded. */
byte current;
/* The segment that a copy holds whole, else NONE. */
byte held[2];
/* The last segment that was published with values, from which the next goes on. */
byte published;
/* By how much the counter was moved with the page held. */
short moved;
/* The writer has died, or writes to a page that is no longer this one. */
bool stopped;
/* Between the two changes of generation-early, where no writer may run. */
bool paused;
/* The reader has ended: nobody takes another step. */
bool over;

#define bitOf(i) ((i) == NONE -> 0 : 1 << (i))
#define inWindow(c, b, m) ((c) >= (b) && (c) - (b) < (m))
#define valueAt(s, c) (segment[s].whole + ((c) - segment[s].base) * segment[s].mult)

#ifdef PROP_RIGHT
bool reading;
/* Bit c of sighted[i]: at some instant of this read segment i was current, and right at the counter c. */
#define COUNTERS 12
short sighted[SEGMENTS];
/* Hidden from the state: of use inside of one d_step only. */
hidden byte at;
hidden byte i;

#ifdef TAGGED
#define isTagged(s) (segment[s].tag == generation)
#else
#define isTagged(s) true
#endif

#define isCurrent(s) ((current & (1 << (s))) && segment[s].epoch == epoch && isTagged(s))
#define isCurrentAndRight(s) (isCurrent(s) && inWindow(counter, segment[s].base, segment[s].maxDelta))

/* To be used inside of d_step, wherever the counter, the generation or what is current has changed. */
inline observe() {
  if
  :: reading ->
    i = 0;
    do
    :: i < segments ->
      if
      :: isCurrentAndRight(i) -> sighted[i] = sighted[i] | (1 << counter)
      :: else
      fi;
      i++
    :: else -> break
    od
  :: else
  fi
}

inline begin() {
  reading = true;
  observe()
}

bool isRight;

/* Whether the value is one that a sighted segment had at a sighted instant. */
inline judge() {
  isRight = false;
  i = 0;
  do
  :: i < segments ->
    at = 0;
    do
    :: at < COUNTERS ->
      if
      :: (sighted[i] & (1 << at)) && valueAt(i, at) == value -> isRight = true
      :: else
      fi;
      at++
    :: else -> break
    od;
    i++
  :: else -> break
  od;
  at = 0
}
#else
inline observe() { skip }
inline begin() { skip }
#endif

/* ---- the writer ---- */

/* Slower and faster from update to update where rates are the hazard; elsewhere faster each time, which never lags. */
#define isAboutRates (hazard <= WRITER_RESTARTED || hazard == ADJUST_HELD)
byte rates[SEGMENTS];
#define rate(s) rates[s]

/*
 * Such that words of two segments give no value that either has at that counter: a test holds that. What is torn is
 * told apart by any rates then; for what is ordered, both directions come first.
 */
inline chooseRates() {
  if
  :: !isAboutRates -> rates[0] = 11; rates[1] = 13; rates[2] = 17; rates[3] = 23
  :: isAboutRates -> rates[0] = 31; rates[1] = 11; rates[2] = 79; rates[3] = 37
#ifdef PROP_ORDERED
  :: isAboutRates -> rates[0] = 11; rates[1] = 37; rates[2] = 17; rates[3] = 41
#endif
  fi
}

#define WIDE 60
#define LONG 4
#define SHORT 2
#define isAboutWindows ((windowsTouch && isAboutRates) || hazard == WINDOW_EXPIRED)
#ifdef LOOKS_AT_WINDOW
#define windowLength (variant == ENDLESS -> WIDE : (isAboutWindows -> SHORT : LONG))
#else
#define windowLength (hazard == WINDOW_EXPIRED -> SHORT : WIDE)
#endif

/*
 * Ghost: the next segment. It goes on from the value that the one before has at its base, plus one, so that words of
 * two segments are told apart even where the rate plays no part.
 */
inline make(newBase, newMaxDelta, newMult, before) {
  segment[segments].base = newBase;
  segment[segments].maxDelta = newMaxDelta;
  segment[segments].tag = wTag;
  segment[segments].epoch = epoch;
  segment[segments].mult = newMult;
  segment[segments].whole = valueAt(before, newBase - moved) + 1;
  made = segments;
  segments++
}

/* A segment that says nothing of the counter of now, as far as a writer can know. */
#define isForeign(s) (hazard == KILLED_AFTER_MIGRATION && segment[s].tag != wTag)

/*
 * Ghost: a new writer that finds no line to go on from starts anew from its source, which is behind what the page gave.
 * To be used inside of d_step, with the segment just made.
 */
inline startAnew(before) {
  if
  :: isSuccessor && isForeign(before) -> segment[made].whole = segment[made].whole - 100
  :: else
  fi
}

/* Words that this reader does not load are not stored. */
inline storeWords(k) {
  d_step { held[k] = NONE; copy[k].base = segment[made].base };
#ifdef LOOKS_AT_WINDOW
  copy[k].maxDelta = segment[made].maxDelta;
#endif
#ifdef TAGGED
  copy[k].tag = segment[made].tag;
#endif
  copy[k].mult = segment[made].mult;
  d_step { copy[k].whole = segment[made].whole; held[k] = made }
}

#ifdef TAGGED
#define LOAD_WRITERS_GENERATION wTag = generation;
#else
#define LOAD_WRITERS_GENERATION
#endif

/* A page as it is before anybody looks: all at once. */
inline setCopy(k, s) {
  copy[k].base = segment[s].base;
#ifdef LOOKS_AT_WINDOW
  copy[k].maxDelta = segment[s].maxDelta;
#endif
#ifdef TAGGED
  copy[k].tag = segment[s].tag;
#endif
  copy[k].mult = segment[s].mult;
  copy[k].whole = segment[s].whole;
  held[k] = s
}

inline note(s) {
  if
  :: s != NONE && segment[s].maxDelta != 0 -> published = s
  :: else
  fi
}

#define endOf(s) (segment[s].base + segment[s].maxDelta)

/* What a writer can be asked to do with an update. */
#define PUBLISH 0
#define PUBLISH_DISABLED 1
#define PUBLISH_ADJUSTED 2

/* The counter's meaning changes: forward, or back into the first window. To be used inside of atomic. */
inline jump() {
  if
  :: d_step { counter = counter + 2; moved = (hazard == ADJUST_HELD -> 2 : 0) }
  :: d_step { counter > START -> counter = counter - 2; moved = (hazard == ADJUST_HELD -> -2 : 0) }
  fi;
  epoch++
}

/* ---- the reader ---- */

#ifdef LOOKS_AT_WINDOW
#define result (rWhole + (rCounter - rBase) * rMult)
#else
/* A counter behind the base reads as the base. */
#define result (rWhole + (rCounter >= rBase) * (rCounter - rBase) * rMult)
#endif
/* No value that a segment has. */
#define UNSET -1000

#if defined(TAGGED) || defined(UNTAGGED)
#define LOAD_GENERATION rGeneration = generation;
#else
#define LOAD_GENERATION
#endif

inline loadWords(k) {
  rBase = copy[k].base;
#ifdef LOOKS_AT_WINDOW
  rMaxDelta = copy[k].maxDelta;
#endif
#ifdef TAGGED
  rTag = copy[k].tag;
#endif
  rMult = copy[k].mult;
  rWhole = copy[k].whole;
}

/* rHost is ghost: two reads are ordered if their counters were read under one generation. */
inline readCounter() {
  d_step { rCounter = counter; rHost = generation }
}

/* To be used inside of atomic, with the last check. */
inline give(v) {
  value = v;
#ifdef PROP_RIGHT
  d_step { judge() };
#endif
  goto returned
}

/* The last loads, and the judgement of what was loaded. */
inline check() {
#if defined(TAGGED) || defined(UNTAGGED)
#ifndef NO_RECHECK
  if
  :: atomic { count != rCount -> goto ended }
  :: atomic { count == rCount -> skip }
  fi;
#endif
  atomic {
#ifndef GENERATION_ONCE
    if
    :: generation != rGeneration -> goto ended
    :: else
    fi;
#endif
#if defined(TAGGED) && !defined(TAG_IGNORED)
    if
    :: rTag != rGeneration -> goto ended
    :: else
    fi;
#endif
#else
  atomic {
#ifndef NO_RECHECK
    if
    :: count != rCount -> goto ended
    :: else
    fi;
#endif
#endif
    if
    :: rMult == 0 -> goto ended
    :: else
    fi;
    give(result)
  }
}
