import { describe, expect, test } from 'vitest';
import {
  compareReference,
  isReferenceName,
  openReference,
  type Reference,
} from '../../lib/compare/reference.ts';
import { LatchclockError } from '../../lib/errors.ts';
import { machineFiles } from '../../lib/host/files.ts';
import { openHost } from '../../lib/host/host.ts';
import { ClockPath, CounterMethod } from '../../lib/native/addon.ts';
import { getAddon } from '../../lib/native/load.ts';
import { CLOCK_IDS } from '../../lib/page/posix-clocks.ts';

const addon = getAddon();

/** A VMClock page (include/uapi/linux/vmclock-abi.h) that began when it was made, `aheadNs` of realtime. */
function vmclockPage(aheadNs: bigint, change: (view: DataView) => void = () => undefined): Uint8Array {
  const bytes = new Uint8Array(4096);
  const view = new DataView(bytes.buffer);
  view.setUint32(0x00, 0x4b4c4356, true);
  view.setUint32(0x04, 4096, true);
  view.setUint16(0x08, 1, true);
  view.setUint8(0x0a, 1);
  view.setUint32(0x0c, 2, true);
  view.setUint8(0x22, 2);
  // Some 2.6 GHz: hardly anything passes between the page and its readings.
  view.setBigUint64(0x28, addon.readCounter(CounterMethod['lfence-rdtsc']), true);
  view.setBigUint64(0x30, (1n << 64n) / 2_600_000_000n, true);
  const ns = addon.readClock(ClockPath.syscall, CLOCK_IDS.realtime) + aheadNs;
  view.setBigUint64(0x48, ns / 1_000_000_000n, true);
  view.setBigUint64(0x50, ((ns % 1_000_000_000n) << 64n) / 1_000_000_000n, true);
  change(view);
  return bytes;
}

function hostWith(page: Uint8Array | null) {
  return openHost(addon, {
    ...machineFiles,
    read: (path, most) => {
      if (path !== '/dev/vmclock0') return machineFiles.read(path, most);
      if (page === null) throw new LatchclockError('ERR_FILE', 'cannot open: ENOENT', { errno: 'ENOENT' });
      return page;
    },
  });
}

function refusal(page: Uint8Array | null): string {
  try {
    openReference(hostWith(page), 'vmclock');
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_CANNOT_RUN' });
    return (error as Error).message;
  }
  return 'taken';
}

async function few(reference: Reference, count: number) {
  let turns = 0;
  return compareReference(
    reference,
    () => ++turns >= count,
    () => Promise.resolve(),
  );
}

describe('a VMClock', () => {
  test('is compared with realtime, within what passed since its page was made', async () => {
    const reference = openReference(hostWith(vmclockPage(3_000_000_000n)), 'vmclock');
    expect(reference.about).toContain('UTC');
    const { points, refused, fit } = await few(reference, 10);
    expect([points.length, refused]).toEqual([10, 0]);
    expect(fit).not.toBeNull();
    for (const { offsetNs, halfWidthNs } of points) {
      // The page's rate is off by some hundred ppm here, and its start by two readings.
      expect(Math.abs(Number(offsetNs) - 3e9)).toBeLessThan(0.5e9);
      expect(halfWidthNs).toBeGreaterThan(0n);
    }
  });

  test('without a value is counted, not made up', async () => {
    const unreliable = openReference(hostWith(vmclockPage(0n, (view) => view.setUint8(0x22, 4))), 'vmclock');
    expect(await few(unreliable, 3)).toMatchObject({ points: [], refused: 3, fit: null });
  });

  test('is refused where there is none, where it is none, and where its time has no start', () => {
    expect(refusal(null)).toContain('ENOENT');
    expect(refusal(new Uint8Array(4096))).toContain('no VMClock page');
    expect(refusal(vmclockPage(0n).subarray(0, 64))).toContain('no VMClock page');
    expect(refusal(vmclockPage(0n, (view) => view.setUint8(0x0b, 2)))).toContain('arbitrary');
    expect(refusal(vmclockPage(0n, (view) => view.setUint8(0x0b, 1)))).toBe('taken');
  });
});

test('names of clocks from elsewhere are these', () => {
  expect(['vmclock', 'ptp:/dev/ptp0', 'ptp:', 'ptp:0', 'ntp'].map(isReferenceName)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});
