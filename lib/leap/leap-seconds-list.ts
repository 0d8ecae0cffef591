import { createHash } from 'node:crypto';
import { badTable, checkedTable, type LeapTable, linesOf, type PlacedEntry } from './table.js';

const NTP_TO_UNIX_SECONDS = 2_208_988_800n;

// Digits are limited so that no number is costly to convert and none loses precision.
const TIMESTAMP = /^[0-9]{1,18}$/;
const ENTRY = /^([0-9]{1,18})[ \t]+([+-]?[0-9]{1,6})$/;
const HASH = /^[0-9a-fA-F]{1,8}(?:[ \t]+[0-9a-fA-F]{1,8}){4}$/;

interface Special {
  text: string;
  place: string;
}

function toUnixSeconds(ntpDigits: string): bigint {
  return BigInt(ntpDigits) - NTP_TO_UNIX_SECONDS;
}

function checkHash(words: string, digits: string): 'match' | 'mismatch' {
  // Writers of the file print each word as a number, without its leading zeros.
  const stated = words.split(/[ \t]+/).map((word) => word.toLowerCase().padStart(8, '0'));
  return createHash('sha1').update(digits, 'latin1').digest('hex') === stated.join('') ? 'match' : 'mismatch';
}

function parseSpecial(mark: string, raw: string, place: string): Special {
  const text = raw.slice(mark.length).trim();
  if (!(mark === '#h' ? HASH : TIMESTAMP).test(text)) {
    const wanted = mark === '#h' ? 'five hexadecimal words' : 'an NTP time in seconds';
    throw badTable(`${mark} is not followed by ${wanted}`, place);
  }
  return { text, place };
}

/** The row of a line; null for a comment. */
function parseRow(raw: string, place: string): (PlacedEntry & { digits: string }) | null {
  const comment = raw.indexOf('#');
  const content = (comment < 0 ? raw : raw.slice(0, comment)).trim();
  if (content === '') return null;
  const match = ENTRY.exec(content);
  if (match === null) {
    const what = 'line is neither a comment nor an NTP time and a TAI offset';
    throw badTable(what, place, 'give a leap-seconds.list');
  }
  const [, time = '', offset = ''] = match;
  return {
    unixSeconds: toUnixSeconds(time),
    taiOffsetSeconds: Number(offset),
    name: time,
    place,
    digits: content.replace(/[^0-9]/g, ''),
  };
}

/**
 * Parses a `leap-seconds.list` as published by IERS and NIST and shipped by tzdata. Positive and negative leap
 * seconds are accepted. A hash that does not match is reported in the result: whether to trust such a table is
 * the caller's decision. The hash is SHA-1 over the digits of update (`#$`), expiry (`#@`) and entries in the order of
 * the file, as ntpd computes it. Source of the format: comments of NIST's edition of `leap-seconds.list`.
 *
 * @param text the whole file; lines may end in LF, CRLF or CR
 * @throws {LatchclockError} `ERR_BAD_LEAP_TABLE` with the line, if a line is malformed, a special line is repeated, or
 *   as {@link checkedTable}
 */
export function parseLeapSecondsList(text: string): LeapTable {
  const special = new Map<string, Special>();
  const entries: PlacedEntry[] = [];
  let digits = '';
  const lines = linesOf(text);
  for (const [index, raw] of lines.entries()) {
    const place = `line ${index + 1}`;
    const mark = raw.slice(0, 2);
    if (mark === '#$' || mark === '#@' || mark === '#h') {
      const earlier = special.get(mark);
      if (earlier !== undefined) throw badTable(`${mark} is given twice, first on ${earlier.place}`, place);
      const found = parseSpecial(mark, raw, place);
      special.set(mark, found);
      if (mark !== '#h') digits += found.text;
      continue;
    }
    const row = parseRow(raw, place);
    if (row === null) continue;
    digits += row.digits;
    entries.push(row);
  }
  const [updated, expires, words] = ['#$', '#@', '#h'].map((mark) => special.get(mark)?.text);
  return checkedTable(
    entries,
    {
      updated: updated === undefined ? null : toUnixSeconds(updated),
      expires: expires === undefined ? null : toUnixSeconds(expires),
    },
    words === undefined ? 'absent' : checkHash(words, digits),
    `line ${lines.length}`,
  );
}
