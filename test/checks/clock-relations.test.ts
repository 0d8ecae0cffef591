import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { timekeepingDoubts } from '../../lib/checks/timekeeping-state.ts';
import { parseLeapSecondsList } from '../../lib/leap/leap-seconds-list.ts';
import type { Adjtimex } from '../../lib/native/addon.ts';
import { timelineOf } from '../../lib/smear/leap.ts';
import { runCheckOn } from '../support/run-check.ts';
import type { SimulatedHostOptions } from '../support/simulated-host.ts';

describe('clock.relations', () => {
  test('passes when TAI is ahead by the offset that the kernel gives', async () => {
    const verdict = await runCheckOn({ adjtimex: { taiOffsetSeconds: 37 } }, 'clock.relations');
    expect(verdict).toMatchObject({ status: 'pass', evidence: { taiOffsetSeconds: 37 } });
  });

  test('fails when it is ahead by another', async () => {
    const verdict = await runCheckOn({ adjtimex: { taiOffsetSeconds: 36 } }, 'clock.relations');
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toContain('offset 36 s');
  });

  test('fails when boottime is behind monotonic', async () => {
    const verdict = await runCheckOn(
      {
        adjtimex: { taiOffsetSeconds: 37 },
        clockErrorNs: (_path, clock) => (clock === 'boottime' ? -10_000_000_000_000n : 0n),
      },
      'clock.relations',
    );
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toContain('boottime');
  });

  test('takes the offsets of a time namespace out of boottime - monotonic', async () => {
    const inTimeNamespace = { monotonicNs: 10n ** 15n, boottimeNs: 0n };
    const verdict = await runCheckOn(
      { inTimeNamespace, adjtimex: { taiOffsetSeconds: 37 } },
      'clock.relations',
    );
    expect(verdict.status).toBe('pass');
  });

  test('fails when the page runs 1 % faster than the discipline asks', async () => {
    const verdict = await runCheckOn(
      { adjtimex: { taiOffsetSeconds: 37, tickUs: 9_900n } },
      'clock.relations',
    );
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toContain('asked -10000 ppm');
  });
});

describe('the state of timekeeping', () => {
  const DAY = 86_400n;
  /** The simulated kernel's realtime, noon of 2026-09-30, and the midnight after it, at which a leap second may be. */
  const NOW = 1_790_769_600n;
  const MIDNIGHT = 1_790_812_800n;
  const LAST_DAY = { realtimeSeconds: NOW };
  const TABLE = '/usr/share/zoneinfo/leap-seconds.list';

  /** A list with its hash whose last leap second, by one second, comes at a Unix time. */
  function listWithLeap(unixSeconds: bigint, offset: 36 | 38): string {
    const ntp = (unix: bigint): string => String(unix + 2_208_988_800n);
    const rows = [
      [ntp(1_483_228_800n), '37'],
      [ntp(unixSeconds), String(offset)],
    ];
    const [updated, expires] = [ntp(1_780_000_000n), ntp(1_830_000_000n)];
    const digest = createHash('sha1')
      .update(`${updated}${expires}${rows.flat().join('')}`)
      .digest('hex');
    const words = digest.match(/.{8}/g)?.join(' ');
    return [`#$ ${updated}`, `#@ ${expires}`, ...rows.map((row) => row.join(' ')), `#h ${words}`, ''].join(
      '\n',
    );
  }

  /** A host whose kernel has this TAI offset, in its clock too. */
  function withOffset(taiOffsetSeconds: number): SimulatedHostOptions {
    const byNs = BigInt(taiOffsetSeconds - 37) * 1_000_000_000n;
    return {
      adjtimex: { taiOffsetSeconds },
      clockErrorNs: (_path, clock) => (clock === 'tai' ? byNs : 0n),
    };
  }

  test.each([
    [35, 'TAI offset is 35 s, 37 s by the leap table'],
    [38, 'TAI offset is 38 s, 37 s by the leap table'],
    [-37, 'its sign is wrong'],
  ])('with a TAI offset of %i s is a warning, and the offset is told', async (offset, reason) => {
    const verdict = await runCheckOn(withOffset(offset), 'clock.relations');
    expect(verdict.status).toBe('warn');
    expect(verdict.reason).toContain(reason);
    expect(verdict.advice).toContain('chronyd');
  });

  test('with a TAI offset that was never set is none', async () => {
    const verdict = await runCheckOn(withOffset(0), 'clock.relations');
    expect(verdict).toMatchObject({
      status: 'pass',
      reason: expect.stringContaining('TAI offset 0: never set'),
    });
  });

  test('is judged by the clocks where a sandbox refuses adjtimex', async () => {
    const refused = (options: SimulatedHostOptions) =>
      runCheckOn({ ...options, refusedCalls: 'EPERM' }, 'clock.relations');
    expect((await refused(withOffset(35))).reason).toContain('TAI offset is 35 s');
    expect((await refused(withOffset(37))).status).toBe('pass');
  });

  test.each<[string, Partial<Adjtimex>, string]>([
    ['to be inserted', { state: 1, status: 0x2011 }, 'inserted at the end of 2026-09-30 (STA_INS)'],
    ['to be left out', { state: 2, status: 0x2021 }, 'left out at the end of 2026-09-30 (STA_DEL)'],
    ['to be inserted, unsynchronised', { state: 5, status: 0x50 }, '(STA_INS)'],
    ['that is being inserted', { state: 3, status: 0x2011 }, 'is being inserted (STA_INS)'],
    ['whose flag is stuck', { state: 4, status: 0x2011 }, 'its flag is stuck (STA_INS)'],
    ['of both signs', { state: 1, status: 0x2031 }, 'STA_INS and STA_DEL'],
  ])('with a leap second %s that no table has is a warning', async (_, adjtimex, reason) => {
    const verdict = await runCheckOn({ ...LAST_DAY, adjtimex }, 'clock.relations');
    expect(verdict.status).toBe('warn');
    expect(verdict.reason).toContain(reason);
  });

  test.each<[string, Partial<Adjtimex>, bigint, 36 | 38]>([
    ['to be inserted', { state: 1, status: 0x2011 }, MIDNIGHT, 38],
    ['to be left out', { state: 2, status: 0x2021 }, MIDNIGHT, 36],
    ['to be inserted, unsynchronised', { state: 5, status: 0x50 }, MIDNIGHT, 38],
  ])('with a leap second %s that the table has is sound', async (_, adjtimex, unixSeconds, offset) => {
    const files = { [TABLE]: listWithLeap(unixSeconds, offset) };
    expect(await runCheckOn({ ...LAST_DAY, adjtimex, files }, 'clock.relations')).toMatchObject({
      status: 'pass',
      evidence: { doubts: [] },
    });
  });

  test('with a leap second of the other sign, or on another day, than the table has is a warning', async () => {
    for (const [unixSeconds, offset] of [
      [MIDNIGHT, 36],
      [MIDNIGHT + 31n * DAY, 38],
    ] as const) {
      const files = { [TABLE]: listWithLeap(unixSeconds, offset) };
      const verdict = await runCheckOn(
        { ...LAST_DAY, adjtimex: { state: 1, status: 0x2011 }, files },
        'clock.relations',
      );
      expect(verdict).toMatchObject({ status: 'warn', reason: expect.stringContaining('has none then') });
    }
  });

  test('keeps the flag of a leap second of the table for two days, and its offset around midnight', () => {
    const timeline = timelineOf(parseLeapSecondsList(listWithLeap(MIDNIGHT, 38)));
    const doubts = (offset: number, unixSeconds: bigint, state: Partial<Adjtimex> | null = null) =>
      timekeepingDoubts(
        offset,
        state as Adjtimex | null,
        { timeline, source: 'a list' },
        unixSeconds * 1_000_000_000n,
      );
    expect(doubts(38, MIDNIGHT - 1n)).toEqual([]);
    expect(doubts(37, MIDNIGHT + 1n)).toEqual([]);
    expect(doubts(38, MIDNIGHT - 3n)).toHaveLength(1);
    expect(doubts(37, MIDNIGHT + 3n)).toHaveLength(1);
    const flag = { state: 4, status: 0x2010 };
    expect(doubts(38, MIDNIGHT + DAY, flag)).toEqual([]);
    expect(doubts(38, MIDNIGHT + 2n * DAY, flag)).toHaveLength(1);
    const now = { state: 3, status: 0x2010 };
    expect(doubts(38, MIDNIGHT - 1n, now)).toEqual([]);
    expect(doubts(38, MIDNIGHT, now)).toEqual([]);
    expect(doubts(38, MIDNIGHT + DAY, now)).toHaveLength(1);
  });

  test('says that the table has expired, if it has', async () => {
    const files = { [TABLE]: listWithLeap(1_498_867_200n, 36) };
    const [text = ''] = Object.values(files);
    const expired = text.replace(String(1_830_000_000n + 2_208_988_800n), '3990000000');
    const timeline = timelineOf(parseLeapSecondsList(expired));
    const [doubt] = timekeepingDoubts(35, null, { timeline, source: 'a list' }, NOW * 1_000_000_000n);
    expect(doubt).toContain('36 s by the leap table (a list, expired on 2026-06-09)');
  });
});
