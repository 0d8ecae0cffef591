import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readTimeNamespaceFacts } from '../../lib/host/time-namespace.ts';
import { checkNamespaceAt, TimeNamespace } from '../../lib/timekeeper/time-namespace.ts';
import { ROOT, runProgram } from '../support/run-cli.ts';
import { simulatedHost } from '../support/simulated-host.ts';
import { cannotRun, testUnless } from '../support/tools.ts';

const SECOND = 1_000_000_000n;
const MOST_SECONDS = 9_223_372_036n;

/** So small that a hundred of them, nested, stay within the range. */
const offset = fc.bigInt(-90_000_000n * SECOND, 90_000_000n * SECOND);
const offsets = fc.record({ monotonicNs: offset, boottimeNs: offset }, { requiredKeys: [] });

const sums = ({ monotonicNs, boottimeNs }: TimeNamespace) => ({ monotonicNs, boottimeNs });

describe('a time namespace', () => {
  test('adds its offsets to those of the ones that it lies in, whatever they are', () => {
    fc.assert(
      fc.property(fc.array(offsets, { maxLength: 100 }), (all) => {
        const innermost = all.reduce<TimeNamespace>(
          (parent, own) => parent.create(own),
          TimeNamespace.initial,
        );
        const sum = (name: 'monotonicNs' | 'boottimeNs') =>
          all.reduce((ns, own) => ns + (own[name] ?? 0n), 0n);
        expect(sums(innermost)).toEqual({ monotonicNs: sum('monotonicNs'), boottimeNs: sum('boottimeNs') });
      }),
    );
  });

  test('inherits what is left out, and knows its parent', () => {
    const outer = TimeNamespace.initial.create({ monotonicNs: 5n });
    const inner = outer.create({ boottimeNs: -7n });
    expect(sums(inner)).toEqual({ monotonicNs: 5n, boottimeNs: -7n });
    expect(inner.parent).toBe(outer);
    expect(outer.parent).toBe(TimeNamespace.initial);
    expect(TimeNamespace.initial.parent).toBeNull();
    expect(sums(TimeNamespace.initial)).toEqual({ monotonicNs: 0n, boottimeNs: 0n });
  });

  test('cannot be changed, nor can the one that it was made in be by making it', () => {
    const namespace = TimeNamespace.initial.create({ monotonicNs: 1n });
    expect(() => Object.assign(namespace, { monotonicNs: 2n })).toThrow(TypeError);
    expect(sums(TimeNamespace.initial)).toEqual({ monotonicNs: 0n, boottimeNs: 0n });
  });

  test.each([
    ['realtimeNs', /file timestamps/],
    ['taiNs', /file timestamps/],
    ['saneRealtimeNs', /file timestamps/],
    ['smearedRealtimeNs', /file timestamps/],
    ['monotonicRawNs', /moves with it/],
    ['uptimeNs', /choose from monotonicNs, boottimeNs/],
  ])('has no %s, and says why', (name, reason) => {
    const make = () => TimeNamespace.initial.create({ [name]: 1n });
    expect(make).toThrow(reason);
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_BAD_ARGUMENT' }));
  });

  test('refuses an offset that is no bigint', () => {
    expect(() => TimeNamespace.initial.create({ monotonicNs: 1 as never })).toThrow(/no bigint/);
  });

  test("ends at the kernel's range of offsets, to the nanosecond, and so do sums", () => {
    const least = -MOST_SECONDS * SECOND;
    const most = MOST_SECONDS * SECOND + SECOND - 1n;
    for (const ns of [least, most])
      expect(TimeNamespace.initial.create({ boottimeNs: ns }).boottimeNs).toBe(ns);
    for (const ns of [least - 1n, most + 1n]) {
      expect(() => TimeNamespace.initial.create({ boottimeNs: ns })).toThrow(/beyond what a kernel takes/);
    }
    expect(() => TimeNamespace.initial.create({ monotonicNs: most }).create({ monotonicNs: 1n })).toThrow(
      /beyond/,
    );
  });

  test('is refused exactly where a clock would be negative, or its seconds past half of what a kernel holds', () => {
    const now = fc.bigInt(0n, 10n ** 18n);
    const any = fc.bigInt(-2n * 10n ** 18n, 6n * 10n ** 18n);
    const accepts = (monotonicNs: bigint, clock: bigint): boolean => {
      try {
        checkNamespaceAt({ monotonicNs, boottimeNs: 0n }, { monotonicNs: clock, boottimeNs: 0n });
        return true;
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_BAD_ARGUMENT' });
        return false;
      }
    };
    fc.assert(
      fc.property(now, any, (clock, ns) => {
        const seconds = clock + ns < 0n ? -1n : (clock + ns) / SECOND;
        expect(accepts(ns, clock)).toBe(seconds >= 0n && seconds <= MOST_SECONDS / 2n);
      }),
    );
    const end = (MOST_SECONDS / 2n + 1n) * SECOND;
    expect([accepts(-5n, 5n), accepts(-6n, 5n), accepts(end - 6n, 5n), accepts(end - 5n, 5n)]).toEqual([
      ...[true, false, true, false],
    ]);
  });
});

describe('as the kernel has it', () => {
  const noNesting = cannotRun('unshare', [
    '-T',
    '--monotonic',
    '1000',
    'unshare',
    '-T',
    '--boottime',
    '5',
    'true',
  ]);
  const inside = (offsets: string[], ...command: string[]) =>
    runProgram('unshare', ['-T', ...offsets, ...command]);

  testUnless(
    noNesting,
    'a nested one inherits what is left out, and its sums are what the kernel shows',
    () => {
      const nested = inside(
        ['--monotonic', '1000'],
        'unshare',
        '-T',
        '--boottime',
        '5',
        'cat',
        '/proc/self/timens_offsets',
      );
      const { files } = simulatedHost({ files: { '/proc/self/timens_offsets': nested.out } });
      const ours = TimeNamespace.initial
        .create({ monotonicNs: 1000n * SECOND })
        .create({ boottimeNs: 5n * SECOND });
      expect(readTimeNamespaceFacts(files).offsets).toEqual(sums(ours));
    },
  );

  testUnless(noNesting, 'monotonic-raw moves with monotonic, and tai not at all', () => {
    const script = `import { openClock } from ${JSON.stringify(`${ROOT}/dist/index.js`)};
      console.log(['monotonic-raw', 'tai'].map((id) => openClock(id, { path: 'syscall' }).now()).join(' '));`;
    const node = [process.execPath, '--input-type=module', '-e', script];
    const clocks = (text: string) => text.trim().split(' ').map(BigInt) as [bigint, bigint];
    const before = clocks(runProgram('unshare', ['-T', ...node]).out);
    const [raw, tai] = clocks(inside(['--monotonic', '1000000'], ...node).out);
    const after = clocks(runProgram('unshare', ['-T', ...node]).out);
    expect(raw).toBeGreaterThan(before[0] + 1_000_000n * SECOND);
    expect(raw).toBeLessThan(after[0] + 1_000_000n * SECOND);
    expect(tai).toBeGreaterThan(before[1]);
    expect(tai).toBeLessThan(after[1]);
  });

  testUnless(noNesting, 'the kernel refuses what is refused here, and takes what is taken', () => {
    const uptime = Number(runProgram('cat', ['/proc/uptime']).out.split(' ')[0]);
    const now = { monotonicNs: 0n, boottimeNs: BigInt(Math.round(uptime)) * SECOND };
    const half = Number(MOST_SECONDS / 2n);
    for (const seconds of [
      60 - Math.floor(uptime),
      -60 - Math.ceil(uptime),
      half - Math.ceil(uptime) - 600,
      half,
    ]) {
      const taken = inside(['--boottime', String(seconds)], 'true').code === 0;
      const check = () => checkNamespaceAt({ monotonicNs: 0n, boottimeNs: BigInt(seconds) * SECOND }, now);
      if (taken) check();
      else expect(check).toThrow(/boottime would be/);
    }
  });
});
