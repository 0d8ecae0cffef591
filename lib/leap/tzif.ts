import { badTable, checkedTable, FIRST_ENTRY, type LeapTable, type PlacedEntry } from './table.js';

const MAGIC = 'TZif';
const HEADER_BYTES = 44;
const REMEDY = 'give a compiled file with leap seconds, such as right/UTC of tzdata';

/** The six counts of a header, in their order (RFC 9636, section 3.1). */
interface Counts {
  isUt: number;
  isStandard: number;
  leaps: number;
  transitions: number;
  types: number;
  characters: number;
}

/** Where the parts of a data block start that are read here, bytes from the start of the file. */
interface Block {
  counts: Counts;
  /** 4 in the first block, 8 in the second. */
  timeBytes: 4 | 8;
  transitions: number;
  leaps: number;
  end: number;
}

/** True if bytes start as a compiled time zone file does. */
export function isTzif(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, MAGIC.length)).toString('latin1') === MAGIC;
}

/** The block whose header is at `start`. All that it counts must be there: so no count costs more than the file has. */
function blockAt(bytes: Uint8Array, start: number, timeBytes: 4 | 8): Block {
  if (start + HEADER_BYTES > bytes.length || !isTzif(bytes.subarray(start))) {
    throw badTable('compiled time zone file is cut short: a header is missing', `byte ${start}`, REMEDY);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = (index: number): number => view.getUint32(start + 20 + 4 * index);
  const counts: Counts = {
    isUt: count(0),
    isStandard: count(1),
    leaps: count(2),
    transitions: count(3),
    types: count(4),
    characters: count(5),
  };
  const transitions = start + HEADER_BYTES;
  const leaps = transitions + counts.transitions * (timeBytes + 1) + counts.types * 6 + counts.characters;
  const end = leaps + counts.leaps * (timeBytes + 4) + counts.isStandard + counts.isUt;
  if (end > bytes.length) {
    throw badTable(
      `compiled time zone file is cut short: it has ${bytes.length} bytes and counts ${end}`,
      `byte ${start}`,
      REMEDY,
    );
  }
  return { counts, timeBytes, transitions, leaps, end };
}

/**
 * Up to when a second block tells of local time, in its own seconds; null: for ever. An empty footer says that nothing
 * is told after the last transition (RFC 9636, section 3.3), as zic(8) writes it where its leap seconds expire.
 */
function lastTold(bytes: Uint8Array, view: DataView, { counts, transitions, end }: Block): bigint | null {
  const newline = 0x0a;
  if (bytes[end] !== newline || bytes.indexOf(newline, end + 1) < 0) {
    throw badTable('compiled time zone file is cut short: its footer is missing', `byte ${end}`, REMEDY);
  }
  const isEmpty = bytes[end + 1] === newline;
  if (!isEmpty || counts.transitions === 0) return null;
  return view.getBigInt64(transitions + 8 * (counts.transitions - 1));
}

/**
 * Parses the leap seconds of a compiled time zone file (TZif, RFC 9636), such as tzdata's `right/UTC`. Version 4 tells
 * an expiry by a last record that repeats the correction; earlier versions by ending there, with an empty footer. When
 * the table was made is not told.
 *
 * @throws LatchclockError `ERR_BAD_LEAP_TABLE` with the byte or the record, if the file is cut short, has no leap second
 *   (as the files outside of `right/`), starts after the first one, or as {@link checkedTable}
 */
export function parseTzif(bytes: Uint8Array): LeapTable {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const first = blockAt(bytes, 0, 4);
  const hasSecond = (bytes[MAGIC.length] as number) >= 0x32;
  const block = hasSecond ? blockAt(bytes, first.end, 8) : first;
  const { counts, timeBytes } = block;
  const end = `byte ${block.end}`;
  const told = hasSecond ? lastTold(bytes, view, block) : null;
  if (counts.leaps === 0) throw badTable('compiled time zone file has no leap second', end, REMEDY);
  const entries: PlacedEntry[] = [{ ...FIRST_ENTRY, name: '1', place: 'record 0' }];
  let correction = 0;
  let expires: bigint | null = null;
  for (let index = 0; index < counts.leaps; index++) {
    const at = block.leaps + index * (timeBytes + 4);
    const seconds = timeBytes === 8 ? view.getBigInt64(at) : BigInt(view.getInt32(at));
    const next = view.getInt32(at + timeBytes);
    const place = `record ${index + 1} of ${counts.leaps}`;
    // In these seconds each leap second before counts, too.
    const unixSeconds = seconds - BigInt(correction);
    if (next === correction && index > 0 && index === counts.leaps - 1) {
      expires = unixSeconds;
      break;
    }
    if (index === 0 && next !== 1 && next !== -1) {
      throw badTable(`leap seconds before a correction of ${next} s are left out`, place, REMEDY);
    }
    entries.push({
      // That of a negative one is the 23:59:59 that is left out.
      unixSeconds: next < correction ? unixSeconds + 1n : unixSeconds,
      taiOffsetSeconds: FIRST_ENTRY.taiOffsetSeconds + next,
      name: String(index + 1),
      place,
    });
    correction = next;
  }
  return checkedTable(
    entries,
    { updated: null, expires: expires ?? (told === null ? null : told - BigInt(correction)) },
    'absent',
    end,
  );
}
