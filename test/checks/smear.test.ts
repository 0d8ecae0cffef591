import { describe, expect, test } from 'vitest';
import { type StartKept, startKept } from '../../dist/checks/kept-page.js';
import type { Verdict } from '../../dist/checks/model.js';
import { smearChecksWith } from '../../dist/checks/smear.js';
import { openMachine } from '../../dist/host/host.js';
import { add, noTimekeeper, runKept, spoilt } from '../support/kept-checks.ts';

const IDS = ['smear.phases', 'smear.window', 'smear.kernel'];
const run = (id: string, start: StartKept): Promise<Verdict> =>
  runKept(smearChecksWith(start).find((check) => check.id === id));

describe('on this machine', () => {
  test.each(IDS)('%s holds, and counts what it read', async (id) => {
    const verdict = await run(id, startKept);
    // A busy machine may be too late for its readers: that is told, and is no failure.
    expect(['pass', 'warn', 'skip']).toContain(verdict.status);
    if (verdict.status === 'skip') return;
    const numbers = JSON.stringify(verdict.evidence, (_, value) =>
      typeof value === 'bigint' ? Number(value) : value,
    );
    expect(numbers).toMatch(/"readings":[1-9]|"samples":[1-9]/);
  });

  test.each(IDS)('%s is skipped with the reason where no timekeeper can be had', async (id) => {
    const verdict = await run(id, noTimekeeper);
    expect(verdict).toMatchObject({ status: 'skip', evidence: { code: 'ERR_SOURCE' } });
    expect(verdict.reason).toContain('the clocksource is no counter');
  });
});

test.each([35, -37, 0])(
  "smear.kernel leaves tai out where the kernel's TAI offset is %i s, not the table's",
  async (taiOffsetSeconds) => {
    const host = openMachine();
    const addon = Object.create(host.addon, {
      adjtimex: { value: () => ({ ...host.addon.adjtimex(), taiOffsetSeconds }) },
    });
    const check = smearChecksWith(startKept).find(({ id }) => id === 'smear.kernel');
    const verdict = await runKept(check, { ...host, addon });
    expect(['pass', 'warn', 'skip']).toContain(verdict.status);
    if (verdict.status === 'skip') return;
    expect(verdict.evidence['taiLeftOut']).toContain(
      taiOffsetSeconds === 0 ? 'never set' : `${taiOffsetSeconds} s`,
    );
    expect(verdict.evidence['clocks']).not.toHaveProperty('tai');
    if (verdict.status === 'pass') expect(verdict.reason).toContain('tai left out');
  },
);

describe('fails where readers are given', () => {
  const faults: [id: string, what: string, spoil: (words: BigInt64Array) => void, reason: RegExp][] = [
    [
      'smear.phases',
      'smeared-realtime 5 ns ahead',
      (words) => add(words, 'smeared-realtime', 5n),
      /policy's/,
    ],
    [
      'smear.phases',
      'sane-realtime 1 ns off tai',
      (words) => add(words, 'sane-realtime', 1n),
      /sane|neither/,
    ],
    ['smear.phases', 'no bound', (words) => words.fill(-1n, 2, 3), /no bound/],
    [
      'smear.window',
      'smeared-realtime 5 ns behind',
      (words) => add(words, 'smeared-realtime', -5n),
      /policy's/,
    ],
    [
      'smear.kernel',
      'monotonic a microsecond ahead',
      (words) => add(words, 'monotonic', 1_000n),
      /monotonic/,
    ],
  ];
  test.each(faults)('%s: %s', async (id, _, spoil, reason) => {
    const verdict = await run(id, spoilt(spoil));
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toMatch(reason);
  });

  test('smear.phases: a clock that goes back', async () => {
    let turn = 0n;
    const verdict = await run(
      'smear.phases',
      spoilt((words) => add(words, 'monotonic-raw', turn++ % 2n === 0n ? 0n : -1_000_000_000n)),
    );
    expect(verdict).toMatchObject({ status: 'fail', reason: expect.stringContaining('went back') });
  });
});
