import { LatchclockError } from '../errors.js';
import type { RecordedPage } from '../host/page-recording.js';
import { ClockMode, type KernelPageSnapshot, NO_NAMESPACE } from '../page/kernel-page.js';
import type { PageClockName } from '../page/posix-clocks.js';
import { U64_MAX } from '../units.js';

/** States of a kernel's page in their order, and of which kernel. */
export interface Recording {
  readonly kernel: string;
  /** The kernel's tick rate, CONFIG_HZ: 12..12287. */
  readonly hz: number;
  readonly states: readonly RecordedPage[];
}

const RECORDING_SCHEMA = 'latchclock/pages/1';

/** Clocks by their names in a recorded line. */
const LINE_CLOCKS = {
  realtime: 'realtime',
  monotonic: 'monotonic',
  raw: 'monotonic-raw',
  realtimeCoarse: 'realtime-coarse',
  monotonicCoarse: 'monotonic-coarse',
  boottime: 'boottime',
  tai: 'tai',
} as const satisfies Record<string, PageClockName>;

/**
 * A recording as JSON lines: a header, then a line a state. 64-bit numbers are decimal strings; base times are
 * `[seconds, nanoseconds as stored]`, without the offsets of a time namespace.
 */
export function formatRecording({ kernel, hz, states }: Recording): string {
  const lines = states.map(({ snapshot: { main, raw, basetimes }, before, after }) =>
    JSON.stringify({
      seq: String(main.seq),
      mode: main.mode,
      cycleLast: String(main.cycleLast),
      mult: String(main.mult),
      shift: main.shift,
      multRaw: String(raw.mult),
      ...(main.maxCycles === null ? {} : { maxCycles: String(main.maxCycles) }),
      ...Object.fromEntries(
        Object.entries(LINE_CLOCKS).map(([name, clock]) => {
          const { seconds, nsecAsStored } = basetimes[clock];
          return [name, [String(seconds), String(nsecAsStored)]];
        }),
      ),
      before: String(before),
      after: String(after),
    }),
  );
  return `${[JSON.stringify({ schema: RECORDING_SCHEMA, kernel, hz }), ...lines].join('\n')}\n`;
}

function bad(what: string, where: string): LatchclockError {
  return new LatchclockError('ERR_BAD_RECORDING', what, {
    where,
    todo: `give a file that compare --record wrote (${RECORDING_SCHEMA})`,
  });
}

type Json = Readonly<Record<string, unknown>>;

function objectOf(text: string, where: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw bad(text === '' ? 'an empty line' : 'a line that is no JSON, or is cut short', where);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw bad('a line that is no JSON object', where);
  }
  return value as Json;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 40 ? `${text.slice(0, 40)}...` : text;
}

function integer(value: unknown, name: string, where: string, least: bigint, most: bigint): bigint {
  // A count is at most 20 digits; a number in JSON has lost digits beyond 2^53.
  if (typeof value !== 'string' || !/^-?\d{1,20}$/.test(value)) {
    throw bad(`${name} is ${shown(value)}, not a decimal string`, where);
  }
  const number = BigInt(value);
  if (number < least || number > most)
    throw bad(`${name} is ${value}, which is not from ${least} to ${most}`, where);
  return number;
}

function small(value: unknown, name: string, where: string, least: number, most: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw bad(`${name} is ${shown(value)}, not an integer from ${least} to ${most}`, where);
}

const U32_MAX = (1n << 32n) - 1n;
const S64_MAX = U64_MAX >> 1n;

function basetimesOf(line: Json, where: string): KernelPageSnapshot['basetimes'] {
  const entries = Object.entries(LINE_CLOCKS).map(([name, clock]) => {
    const pair = line[name];
    if (!Array.isArray(pair) || pair.length !== 2) {
      throw bad(`${name} is ${shown(pair)}, not [seconds, nanoseconds as stored]`, where);
    }
    return [
      clock,
      {
        seconds: integer(pair[0], `${name}[0]`, where, -S64_MAX - 1n, S64_MAX),
        nsecAsStored: integer(pair[1], `${name}[1]`, where, 0n, U64_MAX),
      },
    ] as const;
  });
  return Object.fromEntries(entries) as KernelPageSnapshot['basetimes'];
}

function stateOf(line: Json, where: string): RecordedPage {
  const u64 = (name: string): bigint => integer(line[name], name, where, 0n, U64_MAX);
  const u32 = (name: string): bigint => integer(line[name], name, where, 0n, U32_MAX);
  const words = {
    seq: Number(u32('seq')),
    mode: small(line['mode'], 'mode', where, ClockMode.none, ClockMode.timens),
    cycleLast: u64('cycleLast'),
    maxCycles: line['maxCycles'] === undefined ? null : u64('maxCycles'),
    mask: null,
    shift: small(line['shift'], 'shift', where, 0, 63),
  };
  const snapshot: KernelPageSnapshot = {
    main: { ...words, mult: u32('mult') },
    raw: { ...words, mult: integer(line['multRaw'], 'multRaw', where, 1n, U32_MAX) },
    basetimes: basetimesOf(line, where),
    hrtimerResNs: 1,
    namespaceNs: NO_NAMESPACE,
  };
  const [before, after] = [u64('before'), u64('after')];
  if (after < before) throw bad(`after (${after}) lies before before (${before})`, where);
  return { snapshot, before, after };
}

/**
 * A recording from its JSON lines. What is right in form is taken as it stands: whether it follows is what the replica is
 * for.
 *
 * @param name what the text is called in errors
 * @throws LatchclockError `ERR_BAD_RECORDING` with the line, for a text that is no recording, one of another version, or one
 *   that is cut short within a line
 */
export function parseRecording(text: string, name: string): Recording {
  const lines = text.split('\n');
  // What ends in a newline is whole.
  if (lines.at(-1) === '') lines.pop();
  else if (lines.length > 1) throw bad('the last line does not end: the file was cut short', name);
  const where = (at: number): string => `${name}, line ${at + 1}`;
  const header = objectOf(lines[0] ?? '', where(0));
  if (header['schema'] !== RECORDING_SCHEMA) {
    throw bad(`the schema is ${shown(header['schema'])}, not "${RECORDING_SCHEMA}"`, where(0));
  }
  if (typeof header['kernel'] !== 'string')
    throw bad(`kernel is ${shown(header['kernel'])}, not a string`, where(0));
  const hz = small(header['hz'], 'hz', where(0), 12, 12_287);
  const states = lines.slice(1).map((line, at) => stateOf(objectOf(line, where(at + 1)), where(at + 1)));
  if (states.length < 2) throw bad(`${states.length} states: an update takes two`, name);
  return { kernel: header['kernel'], hz, states };
}
