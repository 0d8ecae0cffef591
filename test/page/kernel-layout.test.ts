import { describe, expect, test } from 'vitest';
import {
  basetimeOffsets,
  clockOffsets,
  compareLayouts,
  type KernelPageLayout,
  KNOWN_LAYOUTS,
} from '../../lib/page/kernel-layout.ts';
import { LAYOUT_ROWS } from '../support/layout-rows.ts';

function layout(name: string): KernelPageLayout {
  const found = KNOWN_LAYOUTS.find((known) => known.name === name);
  if (found === undefined) throw new Error(`no layout ${name}`);
  return found;
}

describe('the table of layouts', () => {
  test('holds five rows, the oldest kernel first', () => {
    expect(KNOWN_LAYOUTS.map(({ name }) => name)).toEqual(Object.keys(LAYOUT_ROWS));
    expect(KNOWN_LAYOUTS.every(({ source }) => source === 'table')).toBe(true);
  });

  for (const [name, row] of Object.entries(LAYOUT_ROWS)) {
    for (const copy of ['main', 'raw'] as const) {
      test.each(Object.entries(row[copy]))(`${name}: ${copy} %s is at %s`, (field, offset) => {
        expect(Object.entries(layout(name)[copy])).toContainEqual([field, offset]);
        expect(Object.keys(layout(name)[copy])).toHaveLength(8);
      });
    }
    test(`${name}: hrtimer_res is at ${row.hrtimerRes}, in struct ${row.struct}`, () => {
      expect(layout(name)).toMatchObject({ hrtimerRes: row.hrtimerRes, struct: row.struct });
    });
  }
});

describe('where the base time of a clock lies', () => {
  test.each([
    ['realtime', 40, true],
    ['monotonic', 56, true],
    ['monotonic-raw', 336, true],
    ['realtime-coarse', 120, false],
    ['monotonic-coarse', 136, false],
    ['boottime', 152, true],
    ['tai', 216, true],
  ] as const)('6.18: %s at %i, nanoseconds scaled: %s', (clock, seconds, scaled) => {
    const at = basetimeOffsets(layout('linux-6.18..7.2'), clock);
    expect(at).toEqual({ seconds, nanoseconds: seconds + 8, scaled });
  });

  test.each([
    ['linux-5.4..6.6', 464, 176],
    ['linux-6.12', 480, 184],
    ['linux-6.13..6.14', 352, 56],
    ['linux-6.15', 336, 56],
  ] as const)('%s: monotonic-raw at %i, monotonic at %i', (name, raw, monotonic) => {
    expect(basetimeOffsets(layout(name), 'monotonic-raw').seconds).toBe(raw);
    expect(basetimeOffsets(layout(name), 'monotonic').seconds).toBe(monotonic);
  });

  test('only monotonic-raw is in the second copy', () => {
    const newest = layout('linux-6.18..7.2');
    expect(clockOffsets(newest, 'monotonic-raw')).toBe(newest.raw);
    expect(clockOffsets(newest, 'tai')).toBe(newest.main);
    expect(clockOffsets(newest, 'monotonic-coarse')).toBe(newest.main);
  });
});

describe('comparing layouts', () => {
  test('a layout does not differ from itself, whatever it is called', () => {
    for (const known of KNOWN_LAYOUTS) {
      expect(compareLayouts(known, { ...known, name: 'other', source: 'btf', struct: 'other' })).toEqual([]);
    }
  });

  test('6.15 and 6.18 differ in hrtimer_res alone', () => {
    expect(compareLayouts(layout('linux-6.15'), layout('linux-6.18..7.2'))).toEqual([
      'hrtimerRes: 472 in linux-6.15, 2328 in linux-6.18..7.2',
    ]);
  });

  test('a field that one kernel lacks is a difference', () => {
    expect(compareLayouts(layout('linux-5.4..6.6'), layout('linux-6.12'))).toEqual([
      'main.maxCycles: none in linux-5.4..6.6, 144 in linux-6.12',
      'main.mask: 144 in linux-5.4..6.6, 152 in linux-6.12',
      'main.mult: 152 in linux-5.4..6.6, 160 in linux-6.12',
      'main.shift: 156 in linux-5.4..6.6, 164 in linux-6.12',
      'main.basetime: 160 in linux-5.4..6.6, 168 in linux-6.12',
      'raw.seq: 368 in linux-5.4..6.6, 376 in linux-6.12',
      'raw.mode: 372 in linux-5.4..6.6, 380 in linux-6.12',
      'raw.cycleLast: 376 in linux-5.4..6.6, 384 in linux-6.12',
      'raw.maxCycles: none in linux-5.4..6.6, 392 in linux-6.12',
      'raw.mask: 384 in linux-5.4..6.6, 400 in linux-6.12',
      'raw.mult: 392 in linux-5.4..6.6, 408 in linux-6.12',
      'raw.shift: 396 in linux-5.4..6.6, 412 in linux-6.12',
      'raw.basetime: 400 in linux-5.4..6.6, 416 in linux-6.12',
      'hrtimerRes: 360 in linux-5.4..6.6, 368 in linux-6.12',
    ]);
  });
});
