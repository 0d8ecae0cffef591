import { CLOCK_GROUPS, COPY_OFFSETS, type CopyNumber } from '../../page/clock-page.js';
import { OWN_READERS } from '../../page/protocols/readers.js';
import type { ReaderProgram } from '../../page/protocols/reading.js';
import type { Program } from '../../page/steps.js';
import { wrapU64 } from '../../units.js';
import { hasWindow } from '../expected.js';
import type { HazardName, MatrixReader, ProtocolName } from '../model.js';
import { ignoresTags, keepsByCounter, kernelLatchUpdate, naiveSeqlock } from './naive-writers.js';
import type { Known, Published, Scenario, Update, WorldEvent, Writer } from './scenario.js';
import { NO_VALUE } from './world.js';
import {
  ADJUST_STEP,
  adjustment,
  CLOCK,
  COUNT_AT,
  continued,
  GENERATION_AT,
  inTurn,
  type ProgramEdit,
  refusing,
  type SegmentAt,
  type UpdateChoice,
  updateOf,
  type WrittenFor,
  wordsOf,
} from './writers.js';

/** Changes of the programs of a scenario: for programs that are broken on purpose. */
export interface ScenarioEdits {
  reader?(program: Program): Program;
  writer?: ProgramEdit;
}

// A tick is a cycle. Values of one line differ from those of another, and from any mixture of their words, by far.
const ORIGIN = 1_000n;
const JUMP = 500n;
const LONG = 100_000n;
const LAG = 10n;
const MULT = 1_000n;
const LINES = [1_000_000n, 500_000_000n] as const;
const RATES = [700n, 1_500n, 900n] as const;
/** Than all of them. */
const SLOWER = 500n;
const GENERATIONS = [7n, 8n] as const;
/** Beyond what is explored: see the search. */
const NO_BOUND = 2 ** 40;
/** Tries, and waits, of a reader whose bounds are to be reached. */
const LOW_BOUND = 2;

/** The page that a protocol's readers read. */
function writtenFor(protocol: ProtocolName): WrittenFor {
  if (protocol === 'seqlock') return 'seqlock';
  return protocol.endsWith('two-window') ? 'two-window' : 'latch';
}

/** The segment from `base` on of the one line that an epoch has where rates do not change. */
function straight(base: bigint, epoch: number, maxDelta = LONG): Published {
  const origin = ORIGIN + BigInt(epoch) * JUMP;
  const whole = (LINES[epoch] as bigint) + (base - origin) * MULT;
  return { base, maxDelta, mult: MULT, whole, epoch };
}

/** The epoch that a counter belongs to, where the counter of the second starts beyond all that the first can reach. */
function epochOf(cycles: bigint): number {
  return cycles >= ORIGIN + JUMP ? 1 : 0;
}

interface Build {
  readonly reader: MatrixReader;
  readonly variant?: string;
  readonly about: string;
  readonly brokenRule?: string;
  readonly counterFenced?: boolean;
  readonly writer?: Writer;
  readonly successor?: Writer;
  readonly events?: readonly WorldEvent[];
  readonly origins?: readonly bigint[];
  readonly lastTick: number;
  /** What is current, in the first copy, and what the other one holds. */
  readonly first?: Published;
  readonly other?: Published;
  /** two-window: both are offered, each in its window, and the first copy is tried first. */
  readonly both?: boolean;
  /** Fields that change besides `base` and `whole`. */
  readonly varying?: readonly ('mult' | 'maxDelta' | 'tag')[];
  readonly countMask?: bigint;
  readonly ordered?: boolean;
  readonly bounded?: boolean;
}

function build(edits: ScenarioEdits, options: Build): Scenario {
  const { reader, varying = [], writer = null, successor = null } = options;
  const { protocol, native } = reader;
  const page = writtenFor(protocol);
  const first = options.first ?? straight(ORIGIN - LAG, 0);
  const other = options.other ?? straight(ORIGIN - 2n * LAG, 0, first.maxDelta);
  const copies: readonly CopyNumber[] = page === 'seqlock' ? [0] : [0, 1];
  const group = CLOCK_GROUPS[CLOCK];
  const isLoaded = (at: number): boolean =>
    (hasWindow(protocol) || !copies.some((copy) => COPY_OFFSETS[copy].maxDelta === at)) &&
    (native.generation === 'tagged' || !copies.some((copy) => COPY_OFFSETS[copy].tag === at));
  const words = new Map<number, bigint>([
    [COUNT_AT, page === 'two-window' && options.both !== true ? 2n : 0n],
    [GENERATION_AT, GENERATIONS[0]],
    ...copies
      .flatMap((copy) => wordsOf(copy, copy === 0 ? first : other, GENERATIONS[0]))
      .filter(([at]) => isLoaded(at)),
  ]);
  const shared = new Set<number>([COUNT_AT]);
  for (const copy of copies) {
    const at = COPY_OFFSETS[copy];
    for (const word of [
      at.base,
      at[`${CLOCK}.whole`],
      ...(varying.includes('mult') ? [at[`${group}.mult`]] : []),
      ...(varying.includes('maxDelta') ? [at.maxDelta] : []),
      ...(varying.includes('tag') ? [at.tag] : []),
    ]) {
      if (words.has(word)) shared.add(word);
    }
  }
  if (varying.includes('tag')) shared.add(GENERATION_AT);
  const program: ReaderProgram = OWN_READERS[native.protocol]({
    clock: CLOCK,
    generation: native.generation,
    arithmetic: 'wide',
    initialNs: NO_VALUE,
    mostTries: options.bounded === true ? LOW_BOUND : NO_BOUND,
    mostSpins: options.bounded === true ? LOW_BOUND : NO_BOUND,
    counterFenced: options.counterFenced ?? true,
  });
  const asProgram = program as unknown as Program;
  return {
    variant: options.variant ?? 'main',
    about: options.about,
    brokenRule: options.brokenRule ?? null,
    reader: edits.reader?.(asProgram) ?? asProgram,
    writer,
    successor,
    events: options.events ?? [],
    origins: options.origins ?? [ORIGIN, ORIGIN + JUMP],
    lastTick: options.lastTick,
    words,
    shared,
    known: { latest: options.both === true ? other : first, copies: [first, other] },
    current: options.both === true ? [first, other] : [first],
    countMask: options.countMask ?? (1n << 64n) - 1n,
    ordered: options.ordered ?? false,
    bounded: options.bounded ?? false,
  };
}

/** Who writes a page, and how. */
interface Making {
  readonly page: WrittenFor;
  readonly windowed: boolean;
  readonly choice: UpdateChoice;
  readonly edit: ProgramEdit | undefined;
}

function makingOf({ protocol, generation }: MatrixReader, edits: ScenarioEdits): Making {
  return {
    page: writtenFor(protocol),
    windowed: hasWindow(protocol),
    // A page whose readers look at generations is written by somebody who does.
    choice: generation ? { generationAt: GENERATION_AT } : {},
    edit: edits.writer,
  };
}

function update(
  { page, choice, edit }: Making,
  known: Known,
  segmentAt: SegmentAt,
  more: UpdateChoice = {},
  earliestTick = 0,
): Update {
  return updateOf(page, known, segmentAt, { ...choice, ...more }, earliestTick, edit);
}

/** Updates along the straight line, so many, each from the writer's own reading of the counter. */
function straightUpdates(making: Making, number: number, more: UpdateChoice = {}, maxDelta = LONG): Writer {
  const one = (known: Known): Update =>
    update(making, known, (cycles) => straight(cycles, epochOf(cycles), maxDelta), more);
  return inTurn(Array.from({ length: number }, () => one));
}

/** Ticks after its base at which a window ends, where one that is too short is part of what is looked at. */
const SHORT = 3n;

/** Updates of which each has another rate, from the instant of the writer's reading; windows overlap, and end soon. */
function changingUpdates(making: Making, number: number, more: UpdateChoice = {}): Writer {
  const length = making.windowed ? SHORT : LONG;
  return inTurn(
    RATES.slice(0, number).map(
      (rate) => (known: Known) =>
        update(making, known, (cycles) => continued(known.latest, cycles, rate, length), more),
    ),
  );
}

/** The page at the start of {@link changingUpdates}. */
function changingPage({ windowed }: Making): Pick<Build, 'first' | 'other'> {
  const length = windowed ? LAG + SHORT : LONG;
  return { first: straight(ORIGIN - LAG, 0, length), other: straight(ORIGIN - 2n * LAG, 0, length) };
}

/** Updates with other rates as the protocol has them: two windows touch. */
function usualUpdates(making: Making, number: number): Writer {
  return making.page === 'two-window' ? touchingUpdates(making, number) : changingUpdates(making, number);
}

function usualPage(making: Making): Pick<Build, 'first' | 'other'> {
  return making.page === 'two-window' ? TOUCHING_PAGE : changingPage(making);
}

/**
 * A two-window page whose copies are both offered on the straight line of an epoch: the first one up to a tick after the
 * epoch's start, and the other one from there on, so that a counter can fall into either, and after a jump into the other.
 */
function bothOffered(
  epoch: number,
  from = 1n,
  maxDelta = LONG,
): { first: Published; other: Published; both: true } {
  const turn = ORIGIN + BigInt(epoch) * JUMP + 1n;
  return {
    first: straight(turn - LAG, epoch, LAG),
    other: straight(turn + from - 1n, epoch, maxDelta),
    both: true,
  };
}

/** A scenario, and for two-window the same with both copies on offer, beside what it is with one. */
function inBothWays(
  page: WrittenFor,
  edits: ScenarioEdits,
  options: Build,
  both: Partial<Build> = {},
): Scenario[] {
  const one = build(edits, options);
  if (page !== 'two-window') return [one];
  const about = `${options.about}; both copies are on offer before`;
  const varying = [...new Set([...(options.varying ?? []), 'maxDelta' as const])];
  const more = { variant: 'both offered', about, varying, ...bothOffered(0), ...both };
  return [one, build(edits, { ...options, ...more })];
}

const TOUCHING = 2n;

/** A page whose windows touch, the first of which starts now. */
const TOUCHING_PAGE = {
  first: { base: ORIGIN, maxDelta: TOUCHING, mult: MULT, whole: LINES[0], epoch: 0 },
  other: { base: ORIGIN - TOUCHING, maxDelta: TOUCHING, mult: 900n, whole: LINES[0] - 1_800n, epoch: 0 },
} as const;

/** Updates of which each starts, with another rate, where the window of the one before ends. */
function touchingUpdates(making: Making, number: number): Writer {
  return inTurn(
    RATES.slice(0, number).map((rate) => (known: Known) => {
      const { latest } = known;
      const next = continued(latest, latest.base + latest.maxDelta, rate, TOUCHING);
      // Two windows: the copy that is replaced must have ended, and its successor have begun.
      const earliest = making.page === 'two-window' ? Math.max(0, Number(latest.base - ORIGIN)) : 0;
      return update(making, known, () => next, { overlap: false }, earliest);
    }),
  );
}

/** An update of a latch that leaves readers where they are. */
const withoutFlip: ProgramEdit = (program) => {
  const steps = program.steps.filter(({ note }) => note !== 'flip the count');
  return { ...program, steps } as unknown as Program;
};

/** Holds readers back, moves the counter, and publishes anew: as docs/clock-page.md says. */
function adjusting(making: Making, fenced: boolean, isWhole = true): Writer {
  const publish =
    (by: Making, more: UpdateChoice = {}) =>
    (known: Known): Update =>
      update(by, known, (cycles) => straight(cycles, 1), more);
  if (making.page === 'seqlock') {
    const edit: ProgramEdit = (program) => {
      const edited = making.edit?.(program) ?? (program as unknown as Program);
      const place = edited.steps.findIndex(({ kind }) => kind === 'counter');
      return { ...edited, steps: edited.steps.toSpliced(place, 0, ADJUST_STEP) };
    };
    return inTurn([publish({ ...making, edit }, { fence: fenced ? 'full' : 'release' })]);
  }
  const by = isWhole || making.page !== 'latch' ? making : { ...making, edit: withoutFlip };
  const hold = (known: Known): Update =>
    update(by, known, () => refusing(known.latest, making.windowed), { overlap: isWhole });
  return inTurn([hold, (known) => adjustment(known, fenced), publish(making)]);
}

const INTERRUPTED = 'the counter jumps, in every CPU';

/** What the page of another host holds, in both copies. */
const ANOTHERS = straight(ORIGIN + JUMP - LAG, 1);

/** How far the count goes on in an update, where the copy that readers are sent to is the one before it was. */
const AN_UPDATE: Readonly<Record<WrittenFor, bigint>> = { seqlock: 2n, latch: 1n, 'two-window': 7n };

/**
 * The page of another host, all at once, and its writer, if one publishes there. Its count is equal, or ahead, or behind
 * by just as much as its next update makes up for.
 */
function anotherHost(reader: MatrixReader, counts: 'equal' | 'ahead' | 'behind', isBoth = false): WorldEvent {
  const page = writtenFor(reader.protocol);
  const both = bothOffered(1);
  const segments = isBoth ? [both.first, both.other] : [ANOTHERS, ANOTHERS];
  const copies: readonly CopyNumber[] = page === 'seqlock' ? [0] : [0, 1];
  return {
    note: `the guest moves to another host: page, counter and generation are the other's, the count is ${counts}`,
    newEpoch: true,
    writer: counts === 'behind' ? 'is replaced' : 'stops',
    current: isBoth ? segments : [ANOTHERS],
    words: (load) => {
      const count = load(COUNT_AT);
      // No host's page rests on an odd count.
      const resting = page === 'seqlock' && (count & 1n) !== 0n ? count + 1n : count;
      return new Map([
        [COUNT_AT, wrapU64(resting + { equal: 0n, ahead: 4n, behind: -AN_UPDATE[page] }[counts])],
        [GENERATION_AT, GENERATIONS[1]],
        ...copies.flatMap((copy) => wordsOf(copy, segments[copy] as Published, GENERATIONS[1])),
      ]);
    },
  };
}

/** Scenarios of one hazard for one reader, the main one first. */
export function scenariosOf(
  reader: MatrixReader,
  hazard: HazardName,
  updates: number,
  edits: ScenarioEdits = {},
): Scenario[] {
  const { protocol } = reader;
  const page = writtenFor(protocol);
  const making = makingOf(reader, edits);
  const { windowed } = making;
  const newGeneration: WorldEvent = {
    note: 'the generation changes',
    words: () => new Map([[GENERATION_AT, GENERATIONS[1]]]),
  };
  const changing = { reader, varying: ['mult', 'maxDelta'] as const, ordered: true };
  switch (hazard) {
    case 'update':
    case 'counter-unfenced': {
      const common = { ...changing, ...(hazard === 'counter-unfenced' ? { counterFenced: false } : {}) };
      const touching = build(edits, {
        ...common,
        variant: page === 'two-window' ? 'main' : 'windows touch',
        about: 'each window starts where the one before it ends, with another rate',
        writer: touchingUpdates(making, updates),
        lastTick: 2 * updates,
        ...TOUCHING_PAGE,
      });
      const overlapping = build(edits, {
        ...common,
        variant: page === 'two-window' ? 'at once' : 'main',
        about: 'each segment has another rate, from the instant at which its writer read the counter',
        ...changingPage(making),
        writer: changingUpdates(making, updates),
        lastTick: 3,
      });
      const bounded =
        hazard === 'update'
          ? [
              build(edits, {
                ...common,
                variant: 'bounded',
                about: `as main, and the reader gives up after ${LOW_BOUND} tries, or ${LOW_BOUND} waits`,
                ...usualPage(making),
                writer: usualUpdates(making, Math.min(2, updates)),
                lastTick: page === 'two-window' ? 4 : 3,
                bounded: true,
              }),
            ]
          : [];
      if (page === 'two-window') return [touching, overlapping, ...bounded];
      if (windowed) return [overlapping, touching, ...bounded];
      if (protocol !== 'seqlock') return [overlapping, ...bounded];
      return [
        overlapping,
        ...bounded,
        build(edits, {
          ...common,
          variant: 'counter before',
          about: 'the writer reads the counter before it takes the write side, as Linux does',
          writer: changingUpdates(making, updates, { counterRead: 'before' }),
          lastTick: 3,
        }),
      ];
    }
    case 'writer-stalled':
    case 'writer-killed':
      return [
        build(edits, {
          ...changing,
          about: 'the writer stands at any of its stores, while time passes',
          ...usualPage(making),
          writer: usualUpdates(making, updates),
          events: hazard === 'writer-killed' ? [{ note: 'the writer dies', writer: 'stops' }] : [],
          lastTick: page === 'two-window' ? 2 * updates : Number(SHORT),
        }),
      ];
    case 'writer-restarted': {
      const events: WorldEvent[] = [
        { note: 'the writer dies, and another takes over', writer: 'is replaced' },
      ];
      // The successor does not wait for its turn: what it finds may be of any time.
      const after = (segment: Published): Published =>
        continued(segment, segment.base + segment.maxDelta, SLOWER, TOUCHING);
      const length = windowed ? SHORT : LONG;
      const successor = (known: Known): Update =>
        page === 'two-window'
          ? update(making, known, () => after(known.latest), { overlap: false })
          : update(making, known, (cycles) => continued(known.latest, cycles, SLOWER, length));
      return [
        build(edits, {
          ...changing,
          about:
            'our writer takes over what a dead one left at any of its stores, and goes on with another rate',
          ...usualPage(making),
          writer: usualUpdates(making, 1),
          successor: inTurn([successor]),
          events,
          lastTick: page === 'two-window' ? 4 : Number(SHORT),
        }),
        naiveScenario(reader, making, edits, events),
        ...(page === 'two-window'
          ? [
              build(edits, {
                ...changing,
                variant: 'keeps by counter',
                about: 'the new writer keeps the copy whose window has the counter, and goes on from there',
                brokenRule: 'of two copies on offer a new writer keeps the one that starts later',
                ...usualPage(making),
                writer: usualUpdates(making, 1),
                successor: inTurn([(known) => keepsByCounter(known, after, making.choice)]),
                events,
                lastTick: 4,
              }),
            ]
          : []),
      ];
    }
    case 'counter-behind':
      return [
        ...inBothWays(
          page,
          edits,
          {
            reader,
            about: 'the base lies ahead of the counter',
            first: straight(ORIGIN + 2n, 0),
            lastTick: 3,
          },
          bothOffered(0, 3n),
        ),
      ];
    case 'window-expired':
      return [
        ...inBothWays(
          page,
          edits,
          {
            reader,
            about: 'the window ends, and nobody publishes',
            first: straight(ORIGIN - LAG, 0, LAG + 1n),
            lastTick: 3,
          },
          bothOffered(0, 1n, 1n),
        ),
      ];
    case 'counter-wrapped': {
      const nearZero = (1n << 64n) - 2n;
      const before = (base: bigint): Published => ({
        base: BigInt.asUintN(64, base),
        maxDelta: LONG,
        mult: MULT,
        whole: LINES[0] + (base - nearZero) * MULT,
        epoch: 0,
      });
      return [
        ...inBothWays(page, edits, {
          reader,
          variant: 'main',
          about: 'the counter runs once around, and comes back into a window',
          brokenRule: 'the counter does not come back into a window',
          writer: straightUpdates(making, 1),
          events: [{ note: 'the counter wraps, and comes back into the window', newEpoch: true }],
          origins: [ORIGIN, ORIGIN + JUMP],
          lastTick: 2,
        }),
        build(edits, {
          reader,
          variant: 'through zero',
          about: 'the counter passes zero inside a window, and so does a base',
          origins: [nearZero],
          first: before(nearZero - LAG),
          other: before(nearZero - 2n * LAG),
          writer: inTurn([
            (known) =>
              update(making, known, (cycles) => before(cycles < LONG ? cycles + (1n << 64n) : cycles)),
          ]),
          lastTick: 4,
        }),
      ];
    }
    case 'adjust-held':
    case 'adjust-held-unfenced': {
      const fenced = hazard === 'adjust-held';
      const common = {
        reader,
        varying: ['mult', 'maxDelta'] as const,
        writer: adjusting(making, fenced),
        lastTick: 2,
        ...(fenced ? {} : { brokenRule: 'all that was stored is seen before the counter moves' }),
      };
      return [
        ...inBothWays(page, edits, {
          ...common,
          about: `the counter is moved forward with readers held back${fenced ? '' : ', without the fence'}`,
        }),
        build(edits, {
          ...common,
          variant: 'back',
          about: `the counter is moved back with readers held back${fenced ? '' : ', without the fence'}`,
          origins: [ORIGIN + JUMP, ORIGIN],
          first: straight(ORIGIN - LAG, 0),
        }),
        ...(page === 'seqlock'
          ? []
          : [
              build(edits, {
                ...common,
                variant: 'one held',
                about: 'one copy refuses while the counter is moved; readers may use the other one',
                brokenRule: 'both copies refuse while the counter is moved',
                writer: adjusting(making, fenced, false),
              }),
            ]),
      ];
    }
    case 'adjust-unheld':
      return [
        ...inBothWays(page, edits, {
          reader,
          about: "the counter jumps behind the writer's back, inside the window",
          brokenRule: "nobody moves the counter behind the writer's back",
          writer: straightUpdates(making, 1),
          events: [{ note: INTERRUPTED, newEpoch: true }],
          lastTick: 2,
        }),
      ];
    case 'migration-different':
    case 'migration-equal':
      return [
        build(edits, {
          reader,
          about: `page, counter and generation become another host's, the counts ${hazard === 'migration-equal' ? 'are equal' : 'differ'}`,
          varying: ['tag', 'maxDelta'],
          // With equal counts only what lies inside the old window is a danger; else it may as well end.
          ...(hazard === 'migration-equal' ? {} : changingPage(making)),
          writer: straightUpdates(making, 1),
          events: [anotherHost(reader, hazard === 'migration-equal' ? 'equal' : 'ahead')],
          lastTick: Number(SHORT),
        }),
        ...(page !== 'two-window'
          ? []
          : [
              build(edits, {
                reader,
                variant: 'both offered',
                about: 'the same, and either host offers both copies',
                varying: ['tag', 'maxDelta'],
                ...bothOffered(0),
                writer: straightUpdates(making, 1),
                events: [anotherHost(reader, hazard === 'migration-equal' ? 'equal' : 'ahead', true)],
                lastTick: Number(SHORT),
              }),
            ]),
        build(edits, {
          ...changing,
          variant: 'rates change',
          about: 'the same, and the writer of the host before publishes other rates',
          varying: ['mult', 'tag', 'maxDelta'],
          ...usualPage(making),
          writer: usualUpdates(making, 1),
          events: [anotherHost(reader, hazard === 'migration-equal' ? 'equal' : 'ahead')],
          lastTick: Number(SHORT),
        }),
        ...(hazard === 'migration-equal'
          ? []
          : [
              build(edits, {
                reader,
                variant: 'behind',
                about:
                  "the other host's count is behind, and its writer publishes: the count comes to the one first read",
                varying: ['tag'],
                events: [anotherHost(reader, 'behind')],
                // The old host's page rests; the new one's writer knows its own.
                writer: inTurn([]),
                successor: inTurn([
                  () =>
                    update(making, { latest: ANOTHERS, copies: [ANOTHERS, ANOTHERS] }, (cycles) =>
                      straight(cycles, 1),
                    ),
                ]),
                lastTick: 2,
              }),
            ]),
      ];
    case 'migration-own-page':
      return [
        ...inBothWays(
          page,
          edits,
          {
            reader,
            about:
              'counter and generation change at once, the page comes along, and its writer publishes again',
            varying: ['tag'],
            writer: straightUpdates(making, updates),
            events: [
              { ...newGeneration, note: 'the guest moves: counter and generation change', newEpoch: true },
            ],
            lastTick: 1,
          },
          {
            // The old copy stays on offer behind a new one that ends soon: only its tag tells that it is of another counter.
            writer: straightUpdates(making, 1, { overlap: false, keptFirst: false }, 1n),
            lastTick: 2,
          },
        ),
      ];
    case 'writer-killed-after-migration':
      return killedAfterMigration(reader, making, edits, updates);
    case 'generation-late':
      return [
        ...inBothWays(page, edits, {
          reader,
          about: 'the counter changes, and only later the generation',
          brokenRule: 'the generation changes with the counter, while no CPU runs',
          varying: ['tag'],
          writer: straightUpdates(making, 1),
          events: [{ note: INTERRUPTED, newEpoch: true }, newGeneration],
          lastTick: 1,
        }),
      ];
    case 'generation-early': {
      const common = {
        reader,
        varying: ['tag'] as const,
        brokenRule: 'the generation changes with the counter, while no CPU runs',
        events: [newGeneration, { note: INTERRUPTED, newEpoch: true }] as const,
        lastTick: 1,
      };
      return [
        ...inBothWays(page, edits, {
          ...common,
          about: 'the generation changes, and only later the counter; the writer may publish between',
          writer: straightUpdates(making, 1),
        }),
        build(edits, {
          ...common,
          variant: 'no writer',
          about: 'the generation changes, and only later the counter; nobody publishes from then on',
          writer: straightUpdates(making, 1),
          events: [{ ...newGeneration, writer: 'stops' }, common.events[1]],
        }),
      ];
    }
    case 'count-aba':
      return [
        ...inBothWays(page, edits, {
          reader,
          about: 'the count is of so few bits that it comes back while a copy is rewritten',
          brokenRule: 'the count does not come back within a read',
          writer: straightUpdates(making, 2),
          countMask: page === 'two-window' ? 3n : 1n,
          lastTick: 2,
        }),
      ];
  }
}

/** The counter before and after a move down, and by how much the source is behind a page that was on its way. */
const HIGH = ORIGIN + JUMP;
const LOW = HIGH - 5n;
const BEHIND = 50n * MULT;

/**
 * The counter moves down, into a window that is on offer; the writer dies, before it has published in the new generation,
 * while it does, or after; and its successor goes on from what it finds, or where that is of another counter from its
 * source, which is behind what the page gave.
 */
function killedAfterMigration(
  reader: MatrixReader,
  making: Making,
  edits: ScenarioEdits,
  updates: number,
): Scenario[] {
  const epochAt = (cycles: bigint): number => (cycles >= HIGH ? 0 : 1);
  const line: SegmentAt = (cycles) => straight(cycles, epochAt(cycles));
  const resumed: SegmentAt = (cycles, before) => {
    const segment = line(cycles, before);
    return before.epoch === segment.epoch ? segment : { ...segment, whole: segment.whole - BEHIND };
  };
  const isTwoWindow = making.page === 'two-window';
  // Both on offer, the new copy first: the one of the old generation stays beside it, and starts later.
  const beside: UpdateChoice = isTwoWindow ? { overlap: false, keptFirst: false } : {};
  const common: Omit<Build, 'about'> = {
    reader,
    varying: ['tag'],
    ordered: true,
    origins: [HIGH, LOW],
    first: straight(HIGH - LAG, 0),
    // The windows overlap, on one line: which copy is tried first is all the same.
    other: straight(isTwoWindow ? HIGH : HIGH - 2n * LAG, 0),
    both: isTwoWindow,
    writer: inTurn([(known) => update(making, known, line, beside)]),
    successor: inTurn([(known) => update(making, known, resumed)]),
    events: [
      {
        note: 'the guest moves: the counter goes down, and the generation changes',
        newEpoch: true,
        words: () => new Map([[GENERATION_AT, GENERATIONS[1]]]),
      },
      { note: 'the writer dies, and another takes over', writer: 'is replaced' },
    ],
    // No rate changes: that time passes within a generation matters to nothing but the number of states.
    lastTick: updates > 1 ? 1 : 0,
  };
  const main = build(edits, {
    ...common,
    about:
      'the counter moves down with the generation, the page comes along, the writer dies, and another goes on from what it finds',
  });
  // Who writes no tags cannot ignore them.
  if (!isTwoWindow || making.choice.generationAt === undefined) return [main];
  return [
    main,
    build(edits, {
      ...common,
      variant: 'tags ignored',
      about: 'the same, and the new writer keeps the copy that starts later, whatever generation it is of',
      brokenRule: 'of two copies on offer a new writer keeps the one of the generation of now',
      successor: inTurn([(known) => update({ ...making, edit: ignoresTags }, known, resumed)]),
      lastTick: 0,
    }),
  ];
}

/** A new writer that does not repair what it finds. */
function naiveScenario(
  reader: MatrixReader,
  making: Making,
  edits: ScenarioEdits,
  events: readonly WorldEvent[],
): Scenario {
  const common = {
    reader,
    variant: 'naive',
    brokenRule: 'a new writer takes over what a dead one left half-written',
    events,
    lastTick: 2,
  };
  switch (making.page) {
    case 'seqlock':
      return build(edits, {
        ...common,
        about: 'the new writer adds one to the count that it finds, odd or even',
        writer: straightUpdates(making, 1),
        successor: straightUpdates({ ...making, edit: naiveSeqlock }, 1),
      });
    case 'latch': {
      const one = (known: Known): Update =>
        kernelLatchUpdate(known, (cycles) => straight(cycles, 0), making.choice);
      return build(edits, {
        ...common,
        about:
          "the writer is as the kernel's, which writes both copies with a flip before each, and the new one begins anew",
        writer: inTurn([one]),
        successor: inTurn([one]),
        other: straight(ORIGIN - LAG, 0),
      });
    }
    case 'two-window':
      return build(edits, {
        ...common,
        about: 'the new writer keeps the first copy, whatever it finds',
        writer: straightUpdates(making, 2),
        successor: straightUpdates(making, 1, { keep: 0 }),
      });
  }
}
