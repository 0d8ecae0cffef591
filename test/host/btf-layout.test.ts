import { describe, expect, test } from 'vitest';
import { openBtf } from '../../lib/host/btf.ts';
import { layoutsFromBtf } from '../../lib/host/btf-layout.ts';
import { machineFiles } from '../../lib/host/files.ts';
import { orNull } from '../../lib/host/host.ts';
import { readKernelBtf } from '../../lib/host/kernel-page.ts';
import { compareLayouts, KNOWN_LAYOUTS } from '../../lib/page/kernel-layout.ts';
import { BtfBuilder } from '../support/btf-builder.ts';
import { kernelBtf } from '../support/kernel-btf.ts';

const badBtf = expect.objectContaining({ name: 'LatchclockError', code: 'ERR_BAD_BTF' });

/** `struct vdso_data` as a few lines, with members to leave out or to move. */
function vdsoData(change: { without?: string; nsecAt?: number; size?: number } = {}): Uint8Array {
  const btf = new BtfBuilder();
  const u32 = btf.int('unsigned int', 4);
  const u64 = btf.int('unsigned long long', 8);
  const stamp = btf.struct('vdso_timestamp', 16, [
    { name: 'sec', type: u64, offset: change.nsecAt === 0 ? 8 : 0 },
    { name: 'nsec', type: u64, offset: change.nsecAt ?? 8 },
  ]);
  const members = [
    { name: 'seq', type: u32, offset: 0 },
    { name: 'clock_mode', type: u32, offset: 4 },
    { name: 'cycle_last', type: u64, offset: 8 },
    { name: 'mask', type: u64, offset: 16 },
    { name: 'mult', type: u32, offset: 24 },
    { name: 'shift', type: u32, offset: 28 },
    { name: 'basetime', type: btf.array(stamp, 12), offset: 32 },
    { name: 'hrtimer_res', type: u32, offset: 232 },
  ].filter(({ name }) => name !== change.without);
  btf.struct('vdso_data', change.size ?? 240, members);
  return btf.build();
}

describe('struct vdso_data', () => {
  test('gives a layout at the start of the page and one 128 bytes in; the second copy follows the first', () => {
    const layouts = layoutsFromBtf(openBtf(vdsoData()));
    expect(layouts.map(({ name, source, struct }) => [name, source, struct])).toEqual([
      ['btf vdso_data+0', 'btf', 'vdso_data'],
      ['btf vdso_data+128', 'btf', 'vdso_data'],
    ]);
    expect(layouts[0]).toMatchObject({
      main: { seq: 0, mode: 4, cycleLast: 8, maxCycles: null, mask: 16, mult: 24, shift: 28, basetime: 32 },
      raw: {
        seq: 240,
        mode: 244,
        cycleLast: 248,
        maxCycles: null,
        mask: 256,
        mult: 264,
        shift: 268,
        basetime: 272,
      },
      hrtimerRes: 232,
    });
    expect(layouts[1]).toMatchObject({
      main: { seq: 128, basetime: 160 },
      raw: { seq: 368 },
      hrtimerRes: 360,
    });
  });

  test('may lack the mask: newer kernels may drop it', () => {
    expect(layoutsFromBtf(openBtf(vdsoData({ without: 'mask' })))[0]?.main.mask).toBeNull();
  });

  test.each(['seq', 'clock_mode', 'cycle_last', 'mult', 'shift', 'basetime', 'hrtimer_res'])(
    'without %s is refused',
    (without) => {
      expect(() => layoutsFromBtf(openBtf(vdsoData({ without })))).toThrow(badBtf);
    },
  );

  test('whose base times are not seconds and then nanoseconds is refused', () => {
    expect(() => layoutsFromBtf(openBtf(vdsoData({ nsecAt: 0 })))).toThrow(badBtf);
  });
});

describe('the layouts of the table', () => {
  test.each(KNOWN_LAYOUTS.map((layout) => [layout.name, layout] as const))(
    '%s is what BTF of that shape gives',
    (_, layout) => {
      const layouts = layoutsFromBtf(openBtf(kernelBtf(layout)));
      const start = layout.main.seq === 128 ? 1 : 0;
      expect(compareLayouts(layouts[start] ?? layout, layout)).toEqual([]);
      expect(layouts[start]?.struct).toBe(layout.struct);
    },
  );
});

test('types that describe no clock page are refused', () => {
  const btf = new BtfBuilder();
  btf.struct('vdso_clock', 4, [{ name: 'seq', type: btf.int('int', 4) }]);
  expect(() => layoutsFromBtf(openBtf(btf.build()))).toThrow(badBtf);
});

const own = orNull(() => readKernelBtf(machineFiles));

describe.skipIf(own === null)(
  own === null ? "this kernel's BTF (skipped: it cannot be read)" : "this kernel's BTF",
  () => {
    test('describes one of the layouts of the table', () => {
      if (own === null) return;
      const layouts = layoutsFromBtf(own);
      const rows = KNOWN_LAYOUTS.filter((row) =>
        layouts.some((layout) => compareLayouts(layout, row).length === 0),
      );
      expect(rows.map(({ name }) => name)).toHaveLength(1);
    });
  },
);
