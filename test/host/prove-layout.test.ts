import { describe, expect, test } from 'vitest';
import { LatchclockError } from '../../lib/errors.ts';
import { proveLayout } from '../../lib/host/prove-layout.ts';
import { ClockPath } from '../../lib/native/addon.ts';
import { type KernelPageLayout, KNOWN_LAYOUTS } from '../../lib/page/kernel-layout.ts';
import { NO_NAMESPACE } from '../../lib/page/kernel-page.ts';
import { PAGE_CLOCKS } from '../../lib/page/posix-clocks.ts';
import { type SimulatedHostOptions, simulatedHost } from '../support/simulated-host.ts';

const NEWEST = KNOWN_LAYOUTS.at(-1) as KernelPageLayout;
// A base time that no kernel fills: always zero, hence even.
const EMPTY_WORD = 72;

function prove(layout: KernelPageLayout, options: SimulatedHostOptions = {}) {
  const { addon, pageAddress } = simulatedHost(options);
  return proveLayout(addon, pageAddress, layout, NO_NAMESPACE);
}

const notProved = expect.objectContaining({ name: 'LatchclockError', code: 'ERR_PAGE_NOT_PROVED' });

describe('a proof', () => {
  test('names the clocks, the samples of each, and the bracket that it is blind below', () => {
    const { path, clocks, samplesPerClock, bracketNs } = prove(NEWEST);
    expect(path).toBe('syscall');
    expect(clocks).toEqual([...PAGE_CLOCKS]);
    expect(samplesPerClock).toBe(64);
    // Two readings of 100 cycles each at 0.385 ns.
    expect(bracketNs).toBeGreaterThanOrEqual(77);
    expect(bracketNs).toBeLessThanOrEqual(78);
  });

  test.each(['main', 'raw'] as const)(
    'fails where the count of the %s copy stays while its words change',
    (copy) => {
      const wrong = { ...NEWEST, [copy]: { ...NEWEST[copy], seq: EMPTY_WORD } };
      expect(() => prove(wrong, { updateEveryCycles: 1_000n })).toThrow(notProved);
      expect(() => prove(wrong, { updateEveryCycles: 1_000n })).toThrow('count stood still');
      // A page that nobody writes meanwhile cannot tell.
      expect(() => prove(wrong)).not.toThrow();
    },
  );

  test.each(['main', 'raw'] as const)('fails where the count of the %s copy stays odd', (copy) => {
    const editPage = (page: DataView): void => page.setUint32(NEWEST[copy].seq, 1001, true);
    expect(() => prove(NEWEST, { editPage })).toThrow('never stood still');
  });

  test('fails by one nanosecond beside a coarse clock, which needs no bracket', () => {
    for (const errorNs of [1n, -1n]) {
      const clockErrorNs = (_: string, clock: string): bigint => (clock === 'realtime-coarse' ? errorNs : 0n);
      expect(() => prove(NEWEST, { clockErrorNs })).toThrow(notProved);
      expect(() => prove(NEWEST, { clockErrorNs, mode: 'none' })).toThrow(/^realtime-coarse is \d+ ns/);
    }
  });

  describe('where a sandbox refuses the system call', () => {
    test.each(['EPERM', 'ENOSYS'])('with %s: goes by the vDSO, and says so', (refusedCalls) => {
      expect(prove(NEWEST, { refusedCalls })).toMatchObject({ path: 'vdso', clocks: [...PAGE_CLOCKS] });
    });

    test('holds without TSC cycles too: the coarse clocks need no counter', () => {
      const proof = prove(NEWEST, { refusedCalls: 'EPERM', mode: 'none' });
      expect(proof).toMatchObject({ path: 'vdso', clocks: ['realtime-coarse', 'monotonic-coarse'] });
    });

    test('fails by one nanosecond of the vDSO, as by system call', () => {
      const clockErrorNs = (path: string): bigint => (path === 'vdso' ? 1n : 0n);
      expect(() =>
        prove(NEWEST, { refusedCalls: 'EPERM', clockErrorNs, cyclesPerReading: () => 0n }),
      ).toThrow(notProved);
    });

    test("and the vDSO is not there either: throws the system call's error", () => {
      const { addon, pageAddress } = simulatedHost({ refusedCalls: 'EPERM' });
      const readClock: typeof addon.readClock = (path, id) => {
        if (path === ClockPath.vdso) throw new LatchclockError('ERR_NO_VDSO', 'the process has no vDSO');
        return addon.readClock(path, id);
      };
      expect(() => proveLayout({ ...addon, readClock }, pageAddress, NEWEST, NO_NAMESPACE)).toThrow(
        expect.objectContaining({ code: 'ERR_SYSTEM_CALL', errno: 'EPERM' }),
      );
    });
  });

  describe('where a sandbox refuses one clock', () => {
    const EXCEPT_TAI = PAGE_CLOCKS.filter((clock) => clock !== 'tai');

    test('by system call alone: the vDSO vouches for it, and the proof says so', () => {
      const refuseClock = (path: string, clock: string) =>
        path === 'syscall' && clock === 'tai' ? 'EPERM' : undefined;
      expect(prove(NEWEST, { refuseClock })).toMatchObject({
        path: 'syscall',
        clocks: [...PAGE_CLOCKS],
        byVdso: ['tai'],
        refused: [],
      });
      const clockErrorNs = (path: string, clock: string): bigint =>
        path === 'vdso' && clock === 'tai' ? 1n : 0n;
      expect(() => prove(NEWEST, { refuseClock, clockErrorNs, cyclesPerReading: () => 0n })).toThrow(
        /^tai is/,
      );
    });

    test.each(['EPERM', 'SIGSYS'])(
      'by every path with %s: the others prove the layout, and it is named',
      (errno) => {
        const proof = prove(NEWEST, { refuseClock: (_path, clock) => (clock === 'tai' ? errno : undefined) });
        expect(proof).toMatchObject({ clocks: EXCEPT_TAI, refused: [{ clock: 'tai', error: errno }] });
      },
    );

    test('monotonic-raw: its copy must be beside the main one as a kernel writes it', () => {
      const refuseClock = (_: string, clock: string) => (clock === 'monotonic-raw' ? 'EPERM' : undefined);
      expect(prove(NEWEST, { refuseClock }).refused).toEqual([{ clock: 'monotonic-raw', error: 'EPERM' }]);
      const editPage = (page: DataView): void =>
        page.setBigUint64(NEWEST.raw.cycleLast, page.getBigUint64(NEWEST.main.cycleLast, true) + 1n, true);
      expect(() => prove(NEWEST, { refuseClock, editPage })).toThrow('which no path gives');
    });

    test('and all that count by the counter: nothing is proved', () => {
      const refuseClock = (_: string, clock: string) => (clock.endsWith('-coarse') ? undefined : 'EPERM');
      expect(() => prove(NEWEST, { refuseClock })).toThrow(
        expect.objectContaining({ code: 'ERR_SYSTEM_CALL', errno: 'EPERM' }),
      );
    });
  });

  test('fails by one nanosecond beside a bracket without width', () => {
    for (const errorNs of [1n, -1n]) {
      const clockErrorNs = (_: string, clock: string): bigint => (clock === 'tai' ? errorNs : 0n);
      expect(() => prove(NEWEST, { clockErrorNs, cyclesPerReading: () => 0n })).toThrow(/^tai is \d+ ns/);
    }
    expect(prove(NEWEST, { cyclesPerReading: () => 0n }).bracketNs).toBe(0);
  });
});
