import { isLatchclockError, LatchclockError } from '../errors.js';
import { NS_PER_SEC } from '../units.js';
import type { Observation } from './identify.js';
import { parseInstant } from './instant.js';
import type { Leap, LeapTimeline } from './leap.js';
import { type Ahead, isHeading, type Measured, NTP_FORMATS, type NtpFormat } from './ntp-formats.js';

/** What was seen of one clock; the name is empty where the input has none. */
export interface ObservedClock {
  readonly name: string;
  readonly observations: readonly Observation[];
}

/** What was read from an input. */
export interface ReadObservations {
  readonly format: string;
  readonly clocks: readonly ObservedClock[];
}

/** How to read an input. */
export interface ReadOptions {
  readonly timeline: LeapTimeline;
  /** What `L` is. */
  readonly leap: Leap;
  /** The name of a format; null: the first that the first line fits. */
  readonly format: string | null;
  /** Which is ahead where an offset is positive; null: as the format says, and the server where it does not. */
  readonly ahead: Ahead | null;
  /** When a snapshot was taken; null if the input itself says so. */
  readonly at: string | null;
  /** What to call the input in errors. */
  readonly source: string;
}

export const MOST_OBSERVATIONS = 100_000;
export const MOST_CLOCKS = 1000;
const LONGEST_LINE = 4096;
const SHOWN_LENGTH = 60;

/** A line for a message: cut, and without control characters. */
function shown(line: string): string {
  const text = line.trim().replace(/[^\x20-\x7e]/g, '?');
  return text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}...` : text;
}

/** An instant as programs print it: bare seconds are Unix seconds, as from `date +%s`. */
export function observedInstant(text: string): string {
  const [, seconds] = /^@?(\d{9,11}(?:\.\d{1,9})?)$/.exec(text) ?? [];
  return seconds === undefined ? text : `unix:${seconds}`;
}

const IS_INSTANT = /^(@?\d{9,11}(\.\d{1,9})?|\d{4}-\d\d-\d\dT[^\s,]+|(unix|tai|mjd):[^\s,]+|L[+-][^\s,]+)$/;

/**
 * The observations of a text that a program wrote, by clock, in the order in which the clocks appear; their signs are those
 * of {@link Observation}. A line that is an instant alone tells when the snapshots after it were taken.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT`, with the number of the line: if a line does not fit the format, if an instant is
 *   none or is missing, if there are too many lines or clocks, or no observation at all
 */
export function readObservations(text: string, options: ReadOptions): ReadObservations {
  const clocks = new Map<string, Observation[]>();
  let format = options.format === null ? null : formatNamed(options.format);
  if (format !== null) holdSign(format, options);
  let at = options.at;
  let count = 0;
  for (const [index, line] of text.split(/\r\n|\n|\r/).entries()) {
    const where = `${options.source}, line ${index + 1}`;
    if (line.length > LONGEST_LINE) throw bad(`the line has more than ${LONGEST_LINE} characters`, where);
    if (isHeading(line)) continue;
    if (IS_INSTANT.test(line.trim())) {
      at = line.trim();
      continue;
    }
    if (format === null) {
      format = NTP_FORMATS.find(({ read }) => read(line) !== null) ?? null;
      if (format === null)
        throw bad(`no format has the line '${shown(line)}'`, where, `give ${formatNames()}`);
      holdSign(format, options);
    }
    const read = format.read(line);
    if (read === null)
      throw bad(`'${shown(line)}' is no line of ${format.name}`, where, 'mend or remove the line');
    if (read === 'nothing') continue;
    count += 1;
    if (count > MOST_OBSERVATIONS)
      throw bad(`there are more than ${MOST_OBSERVATIONS} observations`, where, 'give fewer');
    const own = clocks.get(nameOf(read, where)) ?? [];
    if (own.length === 0) clocks.set(read.server, own);
    if (clocks.size > MOST_CLOCKS)
      throw bad(`there are more than ${MOST_CLOCKS} clocks`, where, 'give fewer');
    own.push(observationOf(read, format, at, where, options));
  }
  if (format === null || count === 0)
    throw bad('there is no observation', options.source, `give ${formatNames()}`);
  const all = [...clocks].map(([name, observations]) => ({ name, observations }));
  return { format: format.name, clocks: all };
}

function formatNames(): string {
  return `one of ${NTP_FORMATS.map(({ name }) => name).join(', ')}`;
}

function bad(what: string, where: string, todo?: string): LatchclockError {
  return new LatchclockError('ERR_BAD_ARGUMENT', what, todo === undefined ? { where } : { where, todo });
}

/** The format of a name, in full or its last word. */
function formatNamed(name: string): NtpFormat {
  const format = NTP_FORMATS.find((one) => one.name === name || one.name.split(' ').at(-1) === name);
  if (format !== undefined) return format;
  if (name === 'ntpq') return formatNamed('ntpq -p');
  throw bad(`there is no format '${shown(name)}'`, '--from-format', `give ${formatNames()}`);
}

/** A format that has a sign cannot be told another. */
function holdSign({ name, ahead }: NtpFormat, options: ReadOptions): void {
  if (ahead === null || options.ahead === null || ahead === options.ahead) return;
  throw bad(
    `an offset of ${name} is positive where ${ahead === 'host' ? 'this host' : 'the server'} is ahead`,
    '--sign',
    'leave the option out: the sign of this format is known',
  );
}

/** No control characters: names are printed. */
function nameOf({ server }: Measured, where: string): string {
  if (/^[\x21-\x7e]{0,255}$/.test(server)) return server;
  throw bad(`'${shown(server)}' is no name of a server`, where, 'mend or remove the line');
}

function observationOf(
  { when, offsetNs }: Measured,
  format: NtpFormat,
  at: string | null,
  where: string,
  { timeline, leap, ahead }: ReadOptions,
): Observation {
  const isHostAhead = (format.ahead ?? ahead) === 'host';
  const base = typeof when === 'string' ? when : at;
  if (base === null) {
    throw bad(
      `${format.name} does not say when it was`,
      where,
      'give --at INSTANT, such as --at now, or put a line with the instant before it',
    );
  }
  try {
    const instant = parseInstant(observedInstant(base), timeline, leap);
    const taiNs = typeof when === 'string' ? instant : instant - when;
    return { taiNs, offsetNs: isHostAhead ? -offsetNs : offsetNs };
  } catch (error) {
    if (!isLatchclockError(error)) throw error;
    throw new LatchclockError(error.code, error.what, {
      where: `${where}: ${error.where ?? ''}`,
      ...(error.todo === undefined ? {} : { todo: error.todo }),
      cause: error,
    });
  }
}

/** The leap second that most observations are nearest to, the later of two; undefined if the timeline has none. */
export function leapOfMost({ leaps }: LeapTimeline, instantsNs: readonly bigint[]): Leap | undefined {
  const middles = leaps.map((leap, i) => {
    const next = leaps[i + 1];
    return next === undefined ? null : (leap.taiNs + next.taiNs) / 2n;
  });
  const counts = leaps.map(() => 0);
  for (const taiNs of instantsNs) {
    const index = middles.findIndex((middle) => middle === null || taiNs < middle);
    counts[index] = (counts[index] ?? 0) + (isNear(leaps[index], taiNs) ? instantsNs.length + 1 : 1);
  }
  return leaps[counts.lastIndexOf(Math.max(...counts))];
}

/** Farther from a leap second than this nothing smears: two days are more than any known window. */
const NEAR_NS = 2n * 86_400n * NS_PER_SEC;

function isNear(leap: Leap | undefined, taiNs: bigint): boolean {
  if (leap === undefined) return false;
  const apart = taiNs - leap.taiNs;
  return apart < NEAR_NS && apart > -NEAR_NS;
}
