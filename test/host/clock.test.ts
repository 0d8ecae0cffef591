import { describe, expect, test } from 'vitest';
import { LatchclockError } from '../../lib/errors.ts';
import { openClockOn } from '../../lib/host/clock.ts';
import { openHost, openMachine, orNull } from '../../lib/host/host.ts';
import { ClockPath, type ReadingSourceName } from '../../lib/native/addon.ts';
import { CLOCK_IDS, CLOCK_NAMES, type ClockName, PAGE_CLOCKS } from '../../lib/page/posix-clocks.ts';
import { type SimulatedHostOptions, simulatedHost } from '../support/simulated-host.ts';

function openOn(options: SimulatedHostOptions, id: ClockName, path?: ReadingSourceName) {
  const { addon, files } = simulatedHost(options);
  return openClockOn(openHost(addon, files), id, path === undefined ? {} : { path });
}

describe('the default path', () => {
  test('is the proved page for a clock that it holds', () => {
    expect(openOn({}, 'monotonic').path).toBe('page');
    expect(openOn({ inTimeNamespace: { monotonicNs: 5n, boottimeNs: 0n } }, 'boottime').path).toBe('page');
  });

  test('is the vDSO where the page is not proved, gives no TSC cycles, or lacks the clock', () => {
    expect(openOn({ vvar: false }, 'monotonic').path).toBe('vdso');
    expect(openOn({ mode: 'none' }, 'monotonic').path).toBe('vdso');
    expect(openOn({}, 'process-cputime').path).toBe('vdso');
  });

  test('is the system call without a vDSO, and with the counter disabled', () => {
    expect(openOn({ vdso: null }, 'realtime').path).toBe('syscall');
    expect(openOn({ counterState: 'disabled' }, 'realtime').path).toBe('syscall');
  });
});

describe('what cannot be opened throws a LatchclockError that says why', () => {
  test.each([
    ['an unknown clock', () => openOn({}, 'noon' as ClockName), 'ERR_BAD_ARGUMENT'],
    ['a name from the prototype', () => openOn({}, 'toString' as ClockName), 'ERR_BAD_ARGUMENT'],
    ['an unknown path', () => openOn({}, 'monotonic', 'tea' as ReadingSourceName), 'ERR_BAD_ARGUMENT'],
    ['a clock that the kernel lacks', () => openOn({}, 'aux0'), 'ERR_SYSTEM_CALL'],
    ['the page of a clock that it lacks', () => openOn({}, 'thread-cputime', 'page'), 'ERR_NO_KERNEL_PAGE'],
    [
      'the page under another clocksource',
      () => openOn({ mode: 'none' }, 'tai', 'page'),
      'ERR_NO_KERNEL_PAGE',
    ],
    ['the vDSO where there is none', () => openOn({ vdso: null }, 'tai', 'vdso'), 'ERR_NO_VDSO'],
    ['the page where there is none', () => openOn({ vvar: false }, 'tai', 'page'), 'ERR_NO_KERNEL_PAGE'],
  ])('%s', (_name, open, code) => {
    expect(open).toThrow(LatchclockError);
    expect(open).toThrow(expect.objectContaining({ code }));
  });
});

describe('on this machine', () => {
  const host = openMachine();
  const readable = CLOCK_NAMES.filter(
    (id) => orNull(() => host.addon.readClock(ClockPath.syscall, CLOCK_IDS[id])) !== null,
  );
  const onPage = PAGE_CLOCKS.filter((id) => orNull(() => openClockOn(host, id, { path: 'page' })) !== null);

  test.each(readable)('%s lies between two system calls, by now() and nowInto()', (id) => {
    const clock = openClockOn(host, id);
    const out = new BigInt64Array(2);
    for (let i = 0; i < 1000; i++) {
      const before = host.addon.readClock(ClockPath.syscall, CLOCK_IDS[id]);
      const now = clock.now();
      clock.nowInto(out);
      const after = host.addon.readClock(ClockPath.syscall, CLOCK_IDS[id]);
      expect(now >= before && (out[0] as bigint) >= now && (out[0] as bigint) <= after).toBe(true);
    }
    expect(out[1]).toBe(0n);
  });

  test('two clocks keep apart what they read', () => {
    const realtime = openClockOn(host, 'realtime');
    const monotonic = openClockOn(host, 'monotonic');
    expect(realtime.now()).toBeGreaterThan(monotonic.now());
    expect(monotonic.now()).toBeLessThan(realtime.now());
  });

  test('readers survive the collection of others', () => {
    const kept = openClockOn(host, 'monotonic');
    let last = kept.now();
    for (let i = 0; i < 2_000; i++) {
      openClockOn(host, 'boottime').now();
      const now = kept.now();
      expect(now >= last).toBe(true);
      last = now;
    }
  });

  test.skipIf(onPage.length === 0)('the page is the default where it is proved', () => {
    for (const id of onPage) expect(openClockOn(host, id).path).toBe('page');
  });
});
