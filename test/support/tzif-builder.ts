import type { LeapTableEntry } from '../../lib/leap/table.ts';

/** What a compiled time zone file is to have. */
export interface TzifContent {
  /** The first states 10 s in 1972 and is no record of the file. */
  entries: readonly LeapTableEntry[];
  expires: bigint | null;
  version: 1 | 2 | 4;
  /** Records left out at the start. */
  skip?: number;
}

function numbers(...parts: readonly (readonly [bytes: 1 | 4 | 8, value: bigint])[]): Uint8Array {
  const all = Buffer.alloc(parts.reduce((sum, [bytes]) => sum + bytes, 0));
  let at = 0;
  for (const [bytes, value] of parts) {
    if (bytes === 8) all.writeBigInt64BE(value, at);
    else all.writeIntBE(Number(value), at, bytes);
    at += bytes;
  }
  return all;
}

/** The records: the Unix time with all leap seconds before counted in, and the sum of them after. */
function recordsOf({ entries, expires, version, skip = 0 }: TzifContent): [time: bigint, sum: bigint][] {
  const records = entries.slice(1).map(({ unixSeconds, taiOffsetSeconds }, i): [bigint, bigint] => {
    const before = BigInt((entries[i] as LeapTableEntry).taiOffsetSeconds - 10);
    const after = BigInt(taiOffsetSeconds - 10);
    // A negative one is the label 23:59:59 that is left out.
    return [unixSeconds + before - (after < before ? 1n : 0n), after];
  });
  const sum = records.at(-1)?.[1] ?? 0n;
  const expiry: [bigint, bigint][] = version === 4 && expires !== null ? [[expires + sum, sum]] : [];
  return [...records.slice(skip), ...expiry];
}

function block(content: TzifContent, timeBytes: 4 | 8): Uint8Array {
  const { expires, version } = content;
  const records = recordsOf(content);
  const ends = version === 2 && expires !== null ? [expires + (records.at(-1)?.[1] ?? 0n)] : [];
  const counts = [0, 0, records.length, ends.length, 1, 4];
  return Buffer.concat([
    Buffer.from(`TZif${version === 1 ? '\0' : version}`.padEnd(20, '\0'), 'latin1'),
    numbers(...counts.map((count): [4, bigint] => [4, BigInt(count)])),
    numbers(...ends.map((end): [4 | 8, bigint] => [timeBytes, end]), ...ends.map((): [1, bigint] => [1, 0n])),
    numbers([4, 0n], [1, 0n], [1, 0n]),
    Buffer.from('UTC\0', 'latin1'),
    numbers(
      ...records.flatMap(([time, sum]): [4 | 8, bigint][] => [
        [timeBytes, time],
        [4, sum],
      ]),
    ),
  ]);
}

/** A compiled time zone file for UTC with leap seconds, as RFC 9636 has it. */
export function tzifBytes(content: TzifContent): Uint8Array<ArrayBuffer> {
  const isEnding = content.version === 2 && content.expires !== null;
  const second = [block(content, 8), Buffer.from(isEnding ? '\n\n' : '\nUTC0\n', 'latin1')];
  const parts = [block(content, 4), ...(content.version === 1 ? [] : second)];
  return Uint8Array.from(Buffer.concat(parts));
}
