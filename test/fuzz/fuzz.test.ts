import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  collectGarbage,
  describeFinding,
  type FuzzRun,
  fuzz,
  keep,
  LIMITS,
  type Subject,
  tryInput,
} from './driver.ts';
import { btfSample, btfSubject, elfSubject, SUBJECTS } from './subjects.ts';
import { wholeBtf } from './whole-btf.ts';

/** Inputs from trimmed samples in all; the whole files get a hundredth of it besides. */
const COUNT = Number(process.env['LATCHCLOCK_FUZZ_COUNT'] ?? 100_000);
const SEED = BigInt(process.env['LATCHCLOCK_FUZZ_SEED'] ?? 20_201_208);
/** Writes what came out to stderr, for runs that are looked at. */
const IS_VERBOSE = process.env['LATCHCLOCK_FUZZ_VERBOSE'] === '1';

const FAILURES = join(import.meta.dirname, 'failures');
const TIMEOUT_MS = 180_000 + COUNT * 2;

/** What the process may have grown by when all is done and collected; and its largest growth in between. */
const MIB = 1 << 20;
const MOST_KEPT_BYTES = 64 * MIB;
const MOST_RESIDENT_BYTES = 768 * MIB;

async function keptBytes(): Promise<number> {
  // Buffers are freed beside the program, some time after they were found to be garbage.
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    await setTimeout(50);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function report(subject: Subject, run: FuzzRun): void {
  if (!IS_VERBOSE) return;
  const slowest = `${run.slowestMs.toFixed(1)} ms (input ${run.slowestIndex})`;
  const reasons = [...run.reasons]
    .toSorted(([, a], [, b]) => b - a)
    .map(([reason, count]) => `\n    ${count} ${reason}`)
    .join('');
  process.stderr.write(
    `${subject.name}: ${run.inputs} inputs, ${run.results} with a result; slowest ${slowest}${reasons}\n`,
  );
}

async function expectNoFindings(subject: Subject, count: number): Promise<FuzzRun> {
  const run = await fuzz(subject, SEED, count);
  report(subject, run);
  const found = run.findings.map((finding) => describeFinding(finding, keep(finding, FAILURES)));
  expect(found.join('\n')).toBe('');
  expect(run.inputs).toBe(count);
  return run;
}

describe(`bytes mutated with seed ${SEED}`, () => {
  let before = 0;
  let residentBefore = 0;

  beforeAll(async () => {
    before = await keptBytes();
    residentBefore = process.resourceUsage().maxRSS * 1024;
  });

  const inputs = (count: number): string => `${count} inputs`;

  test.for(
    SUBJECTS.map(
      ([subject, percent]) => [subject.name, Math.ceil((COUNT * percent) / 100), subject] as const,
    ),
  )(
    `%s: each of %i inputs gives a sane result or a refusal with the parser's code, within ${LIMITS.slowMs} ms`,
    { timeout: TIMEOUT_MS },
    async ([, count, subject]) => {
      const run = await expectNoFindings(subject, count);
      // Inputs that all fail alike, or never, try nothing.
      expect(run.results).toBeGreaterThan(count / 50);
      if (subject.codes.length > 0) expect(run.reasons.size).toBeGreaterThan(1);
    },
  );

  const wholeCount = Math.ceil(COUNT / 200);

  test(`the whole vDSO: so do ${inputs(wholeCount)}`, { timeout: TIMEOUT_MS }, async () => {
    await expectNoFindings(elfSubject, wholeCount);
  });

  const { bytes, reason } = wholeBtf();

  test.skipIf(reason !== null)(
    `this kernel's whole BTF: so do ${inputs(wholeCount)}${reason === null ? '' : ` (skipped: ${reason})`}`,
    { timeout: TIMEOUT_MS },
    async () => {
      await expectNoFindings(btfSubject([btfSample('vmlinux', bytes)]), wholeCount);
    },
  );

  test('memory stays bounded over all of them', async () => {
    const kept = (await keptBytes()) - before;
    const resident = process.resourceUsage().maxRSS * 1024 - residentBefore;
    if (IS_VERBOSE)
      process.stderr.write(
        `kept ${Math.round(kept / MIB)} MiB, resident at most ${Math.round(resident / MIB)} MiB more\n`,
      );
    expect(kept).toBeLessThan(MOST_KEPT_BYTES);
    expect(resident).toBeLessThan(MOST_RESIDENT_BYTES);
  });
});

describe('inputs that once showed a fault', () => {
  const subjects = new Map(SUBJECTS.map(([subject]) => [subject.name, subject]));
  const kept = readdirSync(FAILURES).filter((name) => name.endsWith('.bin'));

  test('are each named after a parser', () => {
    expect(kept.filter((name) => !subjects.has(name.slice(0, name.lastIndexOf('-'))))).toEqual([]);
  });

  test.for(kept)('%s shows none', (name) => {
    const subject = subjects.get(name.slice(0, name.lastIndexOf('-'))) as Subject;
    const bytes = Uint8Array.from(readFileSync(join(FAILURES, name)));
    expect(tryInput(subject, bytes, LIMITS)).toBeNull();
  });
});
