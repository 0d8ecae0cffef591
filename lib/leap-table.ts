import { createHash } from 'node:crypto';
import { LatchclockError } from './errors.js';

/** One row of a leap-second table. */
export interface LeapTableEntry {
  /** Start of validity of the offset, in Unix seconds: the 00:00:00 UTC that follows the leap second. */
  unixSeconds: bigint;
  /** TAI - UTC from then on, in seconds. */
  taiOffsetSeconds: number;
}

/** A parsed `leap-seconds.list`. */
export interface LeapTable {
  /** When the table was last changed (`#$`), in Unix seconds; null if it does not say. */
  updated: bigint | null;
  /**
   * The first time at which the table may be wrong (`#@`), in Unix seconds; null if it names none. The list of
   * IERS keeps naming one, although tzdata has called it obsolete since release 2026f: no leap second is to come.
   */
  expires: bigint | null;
  /** At least one row, in ascending order. The first states an offset; every later one is a leap second. */
  entries: LeapTableEntry[];
  /** How the table's digits compare with its `#h` line: SHA-1 against accidents, no proof of origin. */
  hash: 'match' | 'mismatch' | 'absent';
}

const NTP_TO_UNIX_SECONDS = 2_208_988_800n;
const DAY_SECONDS = 86_400n;

// Digits are limited so that no number is costly to convert and none loses precision.
const TIMESTAMP = /^[0-9]{1,18}$/;
const ENTRY = /^([0-9]{1,18})[ \t]+([+-]?[0-9]{1,6})$/;
const HASH = /^[0-9a-fA-F]{1,8}(?:[ \t]+[0-9a-fA-F]{1,8}){4}$/;

interface RawLine {
  text: string;
  line: number;
}

function bad(what: string, line: number, todo?: string): LatchclockError {
  return new LatchclockError('ERR_BAD_LEAP_TABLE', what, {
    where: `line ${line}`,
    ...(todo === undefined ? {} : { todo }),
  });
}

function toUnixSeconds(ntpDigits: string): bigint {
  return BigInt(ntpDigits) - NTP_TO_UNIX_SECONDS;
}

function nextEntry(
  digits: RegExpExecArray,
  previous: LeapTableEntry | undefined,
  line: number,
): LeapTableEntry {
  const [, time = '', offset = ''] = digits;
  const entry = { unixSeconds: toUnixSeconds(time), taiOffsetSeconds: Number(offset) };
  if (entry.unixSeconds % DAY_SECONDS !== 0n) {
    throw bad(`leap-second entry ${time} is not at 00:00:00 UTC`, line);
  }
  if (previous !== undefined) {
    if (entry.unixSeconds <= previous.unixSeconds) {
      throw bad(`leap-second entry ${time} is not later than the one before`, line);
    }
    const step = entry.taiOffsetSeconds - previous.taiOffsetSeconds;
    if (step !== 1 && step !== -1) {
      throw bad(`TAI offset changes by ${step} s, and a leap second is one second`, line);
    }
  }
  return entry;
}

function checkHash(words: string, digits: string): 'match' | 'mismatch' {
  // Writers of the file print each word as a number, without its leading zeros.
  const stated = words.split(/[ \t]+/).map((word) => word.toLowerCase().padStart(8, '0'));
  return createHash('sha1').update(digits, 'latin1').digest('hex') === stated.join('') ? 'match' : 'mismatch';
}

/**
 * Parses a `leap-seconds.list` as published by IERS and NIST and shipped by tzdata. Positive and negative leap
 * seconds are accepted. A hash that does not match is reported in the result: whether to trust such a table is
 * the caller's decision. Source of the format: comments of NIST's edition of `leap-seconds.list`.
 *
 * @param text the whole file; lines may end in LF or CRLF
 * @throws {LatchclockError} `ERR_BAD_LEAP_TABLE` with the line, if a line is malformed, a special line is
 * repeated, an entry is not at 00:00:00 UTC, entries do not ascend, the TAI offset changes by anything but one
 * second, or there is no entry
 */
export function parseLeapSecondsList(text: string): LeapTable {
  const special = new Map<string, RawLine>();
  const entries: LeapTableEntry[] = [];
  let entryDigits = '';
  const lines = text.split('\n');
  for (const [index, raw] of lines.entries()) {
    const line = index + 1;
    const mark = raw.slice(0, 2);
    if (mark === '#$' || mark === '#@' || mark === '#h') {
      const earlier = special.get(mark);
      if (earlier !== undefined) throw bad(`${mark} is given twice, first on line ${earlier.line}`, line);
      const value = raw.slice(2).trim();
      if (!(mark === '#h' ? HASH : TIMESTAMP).test(value)) {
        const wanted = mark === '#h' ? 'five hexadecimal words' : 'an NTP time in seconds';
        throw bad(`${mark} is not followed by ${wanted}`, line);
      }
      special.set(mark, { text: value, line });
      continue;
    }
    const comment = raw.indexOf('#');
    const content = (comment < 0 ? raw : raw.slice(0, comment)).trim();
    if (content === '') continue;
    const match = ENTRY.exec(content);
    if (match === null) {
      throw bad(
        'line is neither a comment nor an NTP time and a TAI offset',
        line,
        'give a leap-seconds.list',
      );
    }
    entries.push(nextEntry(match, entries.at(-1), line));
    entryDigits += content.replace(/[^0-9]/g, '');
  }
  if (entries.length === 0) {
    throw bad('leap-second table has no entry', lines.length, 'give a complete leap-seconds.list');
  }
  const updated = special.get('#$')?.text;
  const expires = special.get('#@')?.text;
  const words = special.get('#h')?.text;
  return {
    updated: updated === undefined ? null : toUnixSeconds(updated),
    expires: expires === undefined ? null : toUnixSeconds(expires),
    entries,
    hash: words === undefined ? 'absent' : checkHash(words, `${updated ?? ''}${expires ?? ''}${entryDigits}`),
  };
}
