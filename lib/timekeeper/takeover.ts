import { maxBigint, minBigint } from '../units.js';
import { scaledAt } from './line.js';
import type { PageWriter } from './page-writer.js';
import type { Slope, Standing } from './standing.js';
import type { RealtimePreference } from './view.js';

/** What dead writers left that is still to be reckoned with, on all pages alike. */
export interface Inheritance {
  /** What readers have now, or had last; null: nothing. */
  readonly previous: Standing | null;
  /** What they have been offered besides, from when `previous` ends; its base is still to come. */
  readonly offered: Standing | null;
}

export interface TakeoverOptions {
  readonly writers: readonly PageWriter[];
  /** Of all lines. */
  readonly shift: number;
  /** The generation now: copies of another one say nothing of this counter. */
  readonly generation: bigint;
  readonly preferences: readonly RealtimePreference[];
  /** Whether readers look at no window: those of a seqlock. */
  readonly readersGoOn: boolean;
  /** A base from this reading on is of another boot, cycles: nobody reads by it. */
  readonly foreignFrom: bigint;
  /** For how long readers may have gone on past an end that was being moved, cycles. */
  readonly window: bigint;
  /** How long it takes to publish on all pages, cycles. */
  readonly lead: bigint;
  /** The counter now, cycles. */
  readonly counter: () => bigint;
  /** A counter that nobody had who saw nothing of what was stored until now, cycles. */
  readonly furthest: () => bigint;
}

/** A page, and what its readers have. */
interface Left {
  readonly writer: PageWriter;
  readonly latest: Standing | null;
  readonly beside: Standing | null;
  readonly isHeld: boolean;
}

const NOTHING: Inheritance = { previous: null, offered: null };

function at({ base, shift }: Standing, slope: Slope, cycles: bigint): bigint {
  return scaledAt({ base, shift, ...slope }, cycles);
}

function isSameLine(one: Standing, other: Standing): boolean {
  return (
    one.base === other.base &&
    one.shared.scaledNs === other.shared.scaledNs &&
    one.shared.mult === other.shared.mult &&
    one.raw.scaledNs === other.raw.scaledNs &&
    one.raw.mult === other.raw.mult
  );
}

/** Whether all that one standing gave up to a reading is no more than what another gives from a later one on. */
function isBelow(one: Standing, until: bigint, other: Standing, from: bigint): boolean {
  return (
    at(one, one.shared, until) <= at(other, other.shared, from) &&
    at(one, one.raw, until) <= at(other, other.raw, from)
  );
}

/** Whether the readers of a page got nothing by a standing, and get nothing, that the one that started later would go back from. */
function isFollowed({ latest, isHeld }: Left, by: Standing, now: bigint, readersGoOn: boolean): boolean {
  if (latest === null || isSameLine(latest, by)) return true;
  // They were held before the next base.
  if (readersGoOn) return isHeld && isBelow(latest, by.base, by, by.base);
  return (
    latest.end <= maxBigint(now, by.base) && isBelow(latest, latest.end, by, maxBigint(latest.end, by.base))
  );
}

/**
 * The lowest standing that is above some others, from a reading on: of monotonic, and of monotonic-raw. All else is as in
 * `like`, one of them; the bound says how far it is from that one besides.
 *
 * @param reach for how long past its end each of them counts, cycles; null: for ever
 */
function above(
  all: readonly Standing[],
  like: Standing,
  base: bigint,
  end: bigint,
  reach: bigint | null,
): Standing {
  const over = (of: (standing: Standing) => Slope): Slope =>
    all
      .map((standing): Slope => {
        const slope = of(standing);
        const last = reach === null ? base : minBigint(base, standing.end + reach);
        const isOver = reach !== null && standing.end <= base;
        return { scaledNs: at(standing, slope, last), mult: isOver ? 0n : slope.mult };
      })
      .concat({ scaledNs: at(like, of(like), base), mult: of(like).mult })
      .reduce((one, other) => ({
        scaledNs: maxBigint(one.scaledNs, other.scaledNs),
        mult: maxBigint(one.mult, other.mult),
      }));
  const shared = over((standing) => standing.shared);
  const raw = over((standing) => standing.raw);
  const gained = (slope: Slope, of: Slope): Slope => ({
    scaledNs: slope.scaledNs - at(like, of, base),
    mult: slope.mult - of.mult,
  });
  const [more, moreRaw] = [gained(shared, like.shared), gained(raw, like.raw)];
  return {
    ...like,
    base,
    end,
    shared,
    raw,
    smeared: {
      scaledNs: at(like, like.smeared, base) + more.scaledNs,
      mult: like.smeared.mult + more.mult,
    },
    bound: {
      scaledNs: at(like, like.bound, base) + maxBigint(more.scaledNs, moreRaw.scaledNs),
      mult: like.bound.mult + maxBigint(more.mult, moreRaw.mult),
    },
  };
}

/**
 * Takes over from writers that may have died between any two stores, so that all pages say the same, and no reader of any
 * page gets less than a reader of another one got. Where the pages are of one line, or those that are behind have ended, the
 * latest is put on all of them, and no reader notices; else they all go on by a line above theirs.
 *
 * @throws LatchclockError `ERR_BAD_PAGE` where the words of a page make no sense, or its file was cut short
 */
export function takeOver(options: TakeoverOptions): Inheritance {
  const { writers, shift, generation, preferences, readersGoOn, foreignFrom } = options;
  const ours = (standing: Standing | null): Standing | null =>
    standing === null || standing.base > foreignFrom || standing.generation !== generation
      ? null
      : { ...standing, preferences };
  const pages: Left[] = writers.map((writer) => ({
    writer,
    latest: ours(writer.found(shift)),
    beside: ours(writer.foundBeside(shift)),
    isHeld: writer.isHeld,
  }));
  const known = pages.flatMap(({ latest }) => latest ?? []);
  if (known.length === 0) return NOTHING;
  const latest = known.reduce((one, other) =>
    other.base > one.base || (other.base === one.base && other.end > one.end) ? other : one,
  );
  const earlier =
    pages.find((page) => page.latest?.base === latest.base && page.beside !== null)?.beside ?? null;
  const now = options.counter();
  const isAhead = earlier !== null && latest.base > now;
  const behind = pages.filter(
    (page) => page.latest === null || !isSameLine(page.latest, latest) || page.latest.end !== latest.end,
  );
  if (isAhead) {
    const isAlike = behind.every(
      (page) => isFollowed(page, latest, now, false) || isFollowed(page, earlier, now, false),
    );
    for (const { writer } of isAlike ? behind : []) {
      writer.revise(earlier);
      writer.offer(latest);
    }
    // Readers of a page that was behind may have gone on by the earlier line past the end that it has on others.
    if (isAlike && (behind.length === 0 || options.furthest() <= latest.base)) {
      return { previous: earlier, offered: latest };
    }
    return { previous: goneOnAbove(pages, [...known, earlier], options), offered: null };
  }
  if (!pages.every((page) => isFollowed(page, latest, now, readersGoOn))) {
    return { previous: goneOnAbove(pages, known, options), offered: null };
  }
  // Of a seqlock the next update holds all readers anyway, and each page has one copy only.
  if (!readersGoOn) for (const { writer } of behind) writer.revise(latest);
  return { previous: latest, offered: null };
}

/** Lets the readers of all pages go on by one line above all theirs, where any of them still has a value. */
function goneOnAbove(
  pages: readonly Left[],
  all: readonly Standing[],
  { readersGoOn, window, lead, furthest }: TakeoverOptions,
): Standing {
  if (readersGoOn) for (const { writer } of pages) writer.hold();
  const now = furthest();
  const like = all.reduce((one, other) =>
    other.base <= now && (other.base > one.base || one.base > now) ? other : one,
  );
  if (readersGoOn) return above(all, like, now, now, null);
  const end = all.map((standing) => standing.end).reduce(maxBigint);
  if (end <= now + lead) return above(all, like, end, end, window);
  // From a reading on that is still to come, so that no page has it while another one has a lower line.
  const next = above(all, like, now + lead, end, window);
  for (const { writer } of pages) writer.revise(next);
  return next;
}
