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

test('a reading is compared with the middle of the time that it took, and may be off by half of that, rounded up', async () => {
  const readings = [
    { ns: 5_000n, beforeNs: 1_000n, afterNs: 3_000n },
    { ns: 5_000n, beforeNs: 2_000n, afterNs: 2_001n },
  ];
  const reference: Reference = {
    name: 'given',
    about: '',
    read: () => readings.shift() ?? { refused: 'over' },
    close: () => undefined,
  };
  const { points } = await few(reference, 2);
  expect(points).toEqual([
    { seconds: 0, offsetNs: 3_000n, halfWidthNs: 1_000n },
    { seconds: 1e-6, offsetNs: 3_000n, halfWidthNs: 1n },
  ]);
});

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

  test('that counts TAI is compared as UTC, by its own valid offset: not 37 s off', async () => {
    const tai = vmclockPage(37_000_000_000n, (view) => {
      view.setUint8(0x0b, 1);
      view.setBigUint64(0x18, 1n, true);
      view.setInt16(0x24, 37, true);
    });
    const reference = openReference(hostWith(tai), 'vmclock');
    expect(reference.about).toContain('TAI - UTC is 37 s');
    const { points, refused } = await few(reference, 3);
    expect([points.length, refused]).toEqual([3, 0]);
    for (const { offsetNs } of points) expect(Math.abs(Number(offsetNs))).toBeLessThan(0.5e9);
  });

  test('that has no value any more is counted with the reason, not made up', async () => {
    const page = vmclockPage(0n);
    const reference = openReference(hostWith(page), 'vmclock');
    const view = new DataView(page.buffer);
    view.setUint8(0x22, 4);
    const unreliable = { reason: 'status: the status of its clock is unreliable', count: 3 };
    expect(await few(reference, 3)).toMatchObject({
      points: [],
      refused: 3,
      refusals: [unreliable],
      fit: null,
    });
    view.setUint8(0x22, 2);
    // The counter is behind the page's.
    view.setBigUint64(0x28, (1n << 63n) - 1n, true);
    expect(await few(reference, 2)).toMatchObject({
      refused: 2,
      refusals: [{ reason: 'out-of-window', count: 2 }],
    });
  });

  test('is refused where there is none, and where its page is, by name', () => {
    expect(refusal(null)).toContain('ENOENT');
    expect(refusal(new Uint8Array(4096))).toContain('(magic)');
    expect(refusal(vmclockPage(0n).subarray(0, 64))).toContain('(cut-short)');
    const changes: [string, (view: DataView) => void][] = [
      ['version', (view) => view.setUint16(0x08, 999, true)],
      ['size-too-small', (view) => view.setUint32(0x04, 8, true)],
      ['size-beyond-region', (view) => view.setUint32(0x04, 65_536, true)],
      ['counter', (view) => view.setUint8(0x0a, 0xff)],
      ['time-type', (view) => view.setUint8(0x0b, 2)],
      ['tai-offset-not-valid', (view) => view.setUint8(0x0b, 1)],
      ['status', (view) => view.setUint8(0x22, 1)],
      ['period', (view) => view.setBigUint64(0x30, 0n, true)],
    ];
    for (const [name, change] of changes) expect(refusal(vmclockPage(0n, change))).toContain(`(${name})`);
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
