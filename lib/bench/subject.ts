import type { Host } from '../host/host.js';
import { orNull } from '../host/host.js';
import { pageClock } from '../host/kernel-page.js';
import {
  type BenchArguments,
  BenchSubject,
  type BenchSubjectName,
  ReaderGeneration,
  ReaderProtocol,
} from '../native/addon.js';
import { CLOCK_IDS, type ClockName, PAGE_CLOCKS, type PageClockName } from '../page/posix-clocks.js';

/** The counter itself, read in three ways. */
const COUNTER_PATHS = ['rdtsc', 'lfence-rdtsc', 'rdtscp'] as const;

const OWN_PROTOCOLS = ['seqlock', 'latch', 'latch-window', 'two-window'] as const;
type OwnProtocol = (typeof OWN_PROTOCOLS)[number];

/** Readers of a page of ours: 128-bit arithmetic but for the narrow ones, with the generation or without. */
const READER_PATHS = OWN_PROTOCOLS.flatMap(
  (protocol) => [protocol, `${protocol}+gen`, `${protocol}-narrow`, `${protocol}+gen-narrow`] as const,
);

/** What else is done with a page of ours: every clock and the bound at once, the words of an update, a latch without window. */
const PAGE_PATHS = ['read-all', 'update', 'bare-latch'] as const;

/** The kernel's clocks: own arithmetic on its page, and the three paths. */
const KERNEL_PATHS = ['page', 'vdso', 'libc', 'syscall'] as const;

/** From JavaScript, by the functions' own names; `two-window` is `now()` of a page that a timekeeper keeps. */
const JS_PATHS = [
  'now',
  'nowInto',
  'two-window',
  'process.hrtime',
  'process.hrtime.bigint',
  'performance.now',
  'Date.now',
  'microtime.now',
  'nano-time',
  'rdtsc',
] as const;
export type JsPath = (typeof JS_PATHS)[number];

export const BENCH_PATHS: readonly string[] = [
  ...new Set<string>([...COUNTER_PATHS, ...READER_PATHS, ...PAGE_PATHS, ...KERNEL_PATHS, ...JS_PATHS]),
];

/** What is timed. */
export interface Subject {
  readonly path: string;
  /** `counter` where it is cycles that are read. */
  readonly clock: ClockName | 'counter';
  readonly runtime: 'native' | 'js';
}

export function subjectName({ path, clock, runtime }: Subject): string {
  return `${runtime} ${path} ${clock}`;
}

/** The loop of a runtime with nothing in it. */
export function emptyLoop(runtime: Subject['runtime']): Subject {
  return { path: 'empty', clock: 'counter', runtime };
}

/** Clocks of those JavaScript functions that have one alone. */
const JS_CLOCKS: Readonly<Partial<Record<JsPath, Subject['clock']>>> = {
  'two-window': 'monotonic',
  'process.hrtime': 'monotonic',
  'process.hrtime.bigint': 'monotonic',
  'performance.now': 'monotonic',
  'Date.now': 'realtime',
  'microtime.now': 'realtime',
  'nano-time': 'realtime',
  rdtsc: 'counter',
};

/** Left out unless they are asked for: variants whose price is a part of another's. */
const SPECIAL: readonly string[] = [...READER_PATHS.filter((path) => path.endsWith('-narrow')), 'bare-latch'];

/**
 * Everything that can be timed of the paths and clocks that are asked for; all, but for special variants, where no path is.
 *
 * @param clocks of the kernel: readers of our own page and functions with a clock of their own are timed whatever they are
 */
export function subjectsOf(paths: readonly string[], clocks: readonly ClockName[]): Subject[] {
  const isWanted = (path: string): boolean =>
    paths.length === 0 ? !SPECIAL.includes(path) : paths.includes(path);
  const native = (path: string, clock: Subject['clock']): Subject => ({ path, clock, runtime: 'native' });
  const js = (path: string, clock: Subject['clock']): Subject => ({ path, clock, runtime: 'js' });
  const kernel = (path: string): readonly ClockName[] =>
    path === 'page' ? clocks.filter((clock) => (PAGE_CLOCKS as readonly string[]).includes(clock)) : clocks;
  return [
    ...COUNTER_PATHS.filter(isWanted).map((path) => native(path, 'counter')),
    ...[...READER_PATHS, ...PAGE_PATHS].filter(isWanted).map((path) => native(path, 'monotonic')),
    ...KERNEL_PATHS.filter(isWanted).flatMap((path) => kernel(path).map((clock) => native(path, clock))),
    ...JS_PATHS.filter(isWanted).flatMap((path) => {
      const own = JS_CLOCKS[path];
      return own === undefined ? kernel('vdso').map((clock) => js(path, clock)) : [js(path, own)];
    }),
  ];
}

/** Whether a clock's values are to move within a loop: a coarse one stands, and so does what is no clock. */
export function isMoving({ path, clock }: Subject): boolean {
  return !(path === 'empty' || path === 'update' || clock.endsWith('-coarse') || path === 'Date.now');
}

function readerOf(path: string): { protocol: OwnProtocol; tagged: boolean; wide: boolean } {
  const protocol = OWN_PROTOCOLS.filter((name) => path.startsWith(name)).at(-1) ?? 'two-window';
  return {
    protocol: path === 'bare-latch' ? 'latch' : protocol,
    tagged: path.includes('+gen'),
    wide: !path.endsWith('-narrow'),
  };
}

function benchSubject(path: string): BenchSubjectName {
  return path in BenchSubject && path !== 'reader' ? (path as BenchSubjectName) : 'reader';
}

/** The subject as the addon takes it; null where it needs the kernel's page, and that is not known. */
export function nativeArguments(host: Host, { path, clock }: Subject): BenchArguments | null {
  const { protocol, tagged, wide } = readerOf(path);
  const name = benchSubject(path);
  const proved = name === 'page' ? orNull(() => host.page()) : null;
  if (name === 'page' && proved === null) return null;
  return [
    BenchSubject[name],
    ReaderProtocol[protocol],
    ReaderGeneration[tagged ? 'tagged' : 'none'],
    wide,
    clock === 'counter' ? 0 : CLOCK_IDS[clock],
    proved === null ? null : pageClock(proved, clock as PageClockName),
  ];
}
