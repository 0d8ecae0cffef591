import { NS_PER_SEC } from '../units.js';
import { parseSeconds } from './decimal.js';
import { parseOffset } from './measured-offset.js';

/** Which of the two is ahead where an offset is positive: the server that was asked, or this host. */
export type Ahead = 'server' | 'host';

/** What a line of a format tells. */
export interface Measured {
  readonly server: string;
  /** The instant in a form of `parseInstant`; or how long before the snapshot it was, ns. */
  readonly when: string | bigint;
  /** As it stands there, with the sign of its format, ns. */
  readonly offsetNs: bigint;
}

/** What a line is: a measurement, one that has none (`nothing`), or no line of the format (null). */
type Read = Measured | 'nothing' | null;

/** A format of what programs write about clocks. */
export interface NtpFormat {
  readonly name: string;
  /** Which is ahead where its offsets are positive, as its documentation says; null: as the option says. */
  readonly ahead: Ahead | null;
  readonly read: (line: string) => Read;
}

const MJD_OF_1970 = 40_587n;
const DAY_SECONDS = 86_400n;

/** `57753 43200.5`: a Modified Julian Day, and the seconds of it. */
function mjdInstant(day: string, seconds: string): string | null {
  const ns = parseSeconds(seconds);
  if (!/^\d{5}$/.test(day) || ns === null || ns < 0n) return null;
  const whole = (BigInt(day) - MJD_OF_1970) * DAY_SECONDS + ns / NS_PER_SEC;
  return `unix:${whole}.${(ns % NS_PER_SEC).toString().padStart(9, '0')}`;
}

/** The date and time of a log of chrony, which is in UTC. */
function logInstant(date: string, time: string): string | null {
  return /^\d{4}-\d\d-\d\d$/.test(date) && /^\d\d:\d\d:\d\d$/.test(time) ? `${date}T${time}Z` : null;
}

function measured(server: string, when: string | bigint | null, offsetNs: bigint | null): Read {
  return when === null || offsetNs === null ? null : { server, when, offsetNs };
}

function wordsOf(line: string): string[] {
  return line.trim().split(/\s+/);
}

/** `chronyc -c sources`: mode, state, name, stratum, poll, reach, LastRx, adjusted and measured offset, error. */
const SOURCES: NtpFormat = {
  name: 'chronyc -c sources',
  ahead: 'host',
  read: (line) => {
    const fields = line.trim().split(',');
    const [mode = '', state = '', name = '', , , reach = '', age = '', , offset = ''] = fields;
    if (fields.length !== 10 || !/^[\^=#]$/.test(mode) || !/^[*+\-?x~]$/.test(state)) return null;
    const ageNs = /^\d+$/.test(age) ? parseSeconds(age) : null;
    const read = /^[0-7]{1,3}$/.test(reach) ? measured(name, ageNs, parseOffset(offset)) : null;
    return read !== null && reach === '0' ? 'nothing' : read;
  },
};

/** `chronyc -c sourcestats`: name, samples, runs, span, frequency, its skew, offset, standard deviation. */
const SOURCESTATS: NtpFormat = {
  name: 'chronyc -c sourcestats',
  ahead: 'host',
  read: (line) => {
    const fields = line.trim().split(',');
    const [name = '', samples = '', runs = '', span = '', , , offset = ''] = fields;
    if (fields.length !== 8 || ![samples, runs, span].every((text) => /^\d+$/.test(text))) return null;
    const read = measured(name, 0n, parseOffset(offset));
    return read !== null && samples === '0' ? 'nothing' : read;
  },
};

/** measurements.log of chrony: date, time, address, leap status, stratum, tests, polls, score, and the offset as the 12th. */
const MEASUREMENTS: NtpFormat = {
  name: 'measurements.log',
  ahead: 'server',
  read: (line) => {
    const [date = '', time = '', server = '', leap = '', ...rest] = wordsOf(line);
    const tests = rest.slice(1, 4);
    const isOne =
      /^[N+\-?]$/.test(leap) && rest.length >= 12 && tests.every((text) => /^[01]{3,4}$/.test(text));
    return isOne ? measured(server, logInstant(date, time), parseOffset(rest[7] ?? '')) : null;
  },
};

/** tracking.log of chrony: date, time, address, stratum, frequency, skew, offset, leap status and more. */
const TRACKING: NtpFormat = {
  name: 'tracking.log',
  ahead: 'host',
  read: (line) => {
    const [date = '', time = '', server = '', stratum = '', , , offset = '', leap = ''] = wordsOf(line);
    if (!/^\d{1,2}$/.test(stratum) || !/^[N+\-?]$/.test(leap)) return null;
    const read = measured(server, logInstant(date, time), parseOffset(offset));
    return read !== null && leap === '?' ? 'nothing' : read;
  },
};

/** peerstats of ntpd: MJD, second, address, status, offset, delay, dispersion, jitter. */
const PEERSTATS: NtpFormat = {
  name: 'peerstats',
  ahead: 'server',
  read: (line) => {
    const words = wordsOf(line);
    const [day = '', second = '', server = '', status = '', offset = ''] = words;
    if (words.length < 7 || words.length > 8 || !/^[0-9a-f]{1,4}$/i.test(status)) return null;
    return measured(server, mjdInstant(day, second), parseOffset(offset));
  },
};

const NTP_ERA_NS = NS_PER_SEC << 32n;

/** A difference of two NTP time stamps, which may lie in different eras. */
function eraDifference(a: bigint, b: bigint): bigint {
  const half = NTP_ERA_NS / 2n;
  return ((((a - b + half) % NTP_ERA_NS) + NTP_ERA_NS) % NTP_ERA_NS) - half;
}

const CLIENT_MODES = ['3', '5', '6'];

/**
 * rawstats of ntpd: MJD, second, source, destination, then the time stamps of origin, receive, transmit and destination (NTP
 * seconds), leap, version, mode and more. Half of what the way there and the way back differ by is the offset (RFC 5905,
 * section 8). Packets that were sent stand there as well.
 */
const RAWSTATS: NtpFormat = {
  name: 'rawstats',
  ahead: 'server',
  read: (line) => {
    const words = wordsOf(line);
    const [day = '', second = '', server = '', destination = '', ...stamps] = words;
    const [t1, t2, t3, t4] = stamps
      .slice(0, 4)
      .map((text) => (/^\d+\.\d+$/.test(text) ? parseSeconds(text) : null));
    if (words.length < 8 || t1 == null || t2 == null || t3 == null || t4 == null) return null;
    const when = mjdInstant(day, second);
    // An address: the status word of a peerstats has neither a point nor a colon.
    if (when === null || !/[.:]/.test(destination)) return null;
    const mode = stamps[6];
    if ([t1, t2, t3, t4].includes(0n) || (mode !== undefined && CLIENT_MODES.includes(mode)))
      return 'nothing';
    return measured(server, when, (eraDifference(t2, t1) + eraDifference(t3, t4)) / 2n);
  },
};

const SECONDS_OF_UNIT: Readonly<Record<string, bigint>> = { '': 1n, m: 60n, h: 3600n, d: DAY_SECONDS };

/** `ntpq -p`: tally and remote, refid, stratum, type, when, poll, reach, delay, offset, jitter; ms. */
const NTPQ: NtpFormat = {
  name: 'ntpq -p',
  ahead: 'server',
  read: (line) => {
    const words = wordsOf(line.replace(/^[ x.\-+#*o]/, ''));
    const [remote = '', , stratum = '', type = '', age = '', , reach = '', , offset = ''] = words;
    if (words.length !== 10 || !/^\d{1,2}$|^-$/.test(stratum) || !/^[a-zA-Z-]$/.test(type)) return null;
    const [, count, unit = ''] = /^(\d{1,9})([mhd]?)$/.exec(age) ?? [];
    const ageNs = count === undefined ? null : BigInt(count) * (SECONDS_OF_UNIT[unit] as bigint) * NS_PER_SEC;
    if (!/^[0-7]{1,3}$/.test(reach) || (ageNs === null && age !== '-')) return null;
    if (reach === '0' || age === '-') return 'nothing';
    return measured(remote, ageNs, parseOffset(offset, 'ms'));
  },
};

/** `INSTANT OFFSET [SERVER]`, with spaces, tabs or commas in between. */
const PLAIN: NtpFormat = {
  name: 'plain',
  ahead: null,
  read: (line) => {
    const words = line.trim().split(/\s*,\s*|\s+/);
    const [instant = '', offset = '', server = ''] = words;
    return words.length < 2 || words.length > 3 ? null : measured(server, instant, parseOffset(offset));
  },
};

/** All formats, in the order in which they are tried: a new one is one more. */
export const NTP_FORMATS: readonly NtpFormat[] = [
  SOURCES,
  SOURCESTATS,
  MEASUREMENTS,
  TRACKING,
  RAWSTATS,
  PEERSTATS,
  NTPQ,
  PLAIN,
];

/** Lines that say nothing: empty, comments, rules and headings. */
export function isHeading(line: string): boolean {
  return /^\s*$|^\s*#(?!,)|^\s*=+\s*$|^\s*Date \(UTC\)|^\s*remote\s+refid\s/.test(line);
}
