import { describe, expect, test } from 'vitest';
import { machineFiles } from '../../lib/host/files.ts';
import { kernelCounterHz, openHost, orNull } from '../../lib/host/host.ts';
import { findKernelPage } from '../../lib/host/kernel-page.ts';
import { readPvclockPage } from '../../lib/host/pvclock-page.ts';
import { getAddon } from '../../lib/native/load.ts';
import { KNOWN_LAYOUTS } from '../../lib/page/kernel-layout.ts';
import { pvclockHz } from '../../lib/page/pvclock.ts';
import { type SimulatedHostOptions, simulatedHost } from '../support/simulated-host.ts';

function read(options: SimulatedHostOptions) {
  const { addon, files } = simulatedHost(options);
  return readPvclockPage(addon, files, findKernelPage(addon, files));
}

function pvclock(): Uint8Array {
  const view = new DataView(new ArrayBuffer(4096));
  view.setUint32(0, 2, true);
  view.setUint32(24, 1 << 30, true);
  view.setUint8(29, 1);
  return new Uint8Array(view.buffer);
}

const code = (wanted: string) => expect.objectContaining({ name: 'LatchclockError', code: wanted });

describe.each(KNOWN_LAYOUTS.map((layout) => [layout.name, layout] as const))(
  "%s: the hypervisor's page",
  (_, layout) => {
    test('is found beside the clock data, in a time namespace as well', () => {
      expect(read({ layout, pvclock: pvclock() })).toMatchObject({ version: 2, mul: 1n << 30n });
      const inTimeNamespace = { monotonicNs: 1n, boottimeNs: 2n };
      expect(read({ layout, pvclock: pvclock(), inTimeNamespace }).version).toBe(2);
    });

    test('that was never filled, or is not mapped, is refused', () => {
      expect(() => read({ layout })).toThrow(
        code(layout.main.seq === 128 ? 'ERR_MEMORY_FAULT' : 'ERR_BAD_PAGE'),
      );
    });

    test('has no place where the map of the process cannot be read', () => {
      expect(() => read({ layout, pvclock: pvclock(), maps: false })).toThrow(code('ERR_NO_KERNEL_PAGE'));
    });
  },
);

const machine = openHost(getAddon(), machineFiles);
const own = orNull(() => readPvclockPage(machine.addon, machine.files, machine.page()));
const kernelHz = orNull(() => kernelCounterHz(machine));
const known = own !== null && kernelHz !== null;

test.skipIf(!known)(
  known
    ? "this machine's hypervisor and kernel agree on the counter's frequency to a thousandth"
    : "this machine's hypervisor and kernel agree on the frequency (skipped: no pvclock page, or no TSC cycles)",
  () => {
    if (own === null || kernelHz === null) return;
    expect(Math.abs(pvclockHz(own) / kernelHz - 1)).toBeLessThan(1e-3);
  },
);
