import { describe, expect, test } from 'vitest';
import { decodePvclock, pvclockHz } from '../../lib/page/pvclock.ts';

/** Offsets as the kernel's `struct pvclock_vcpu_time_info` has them. */
function page(words: { version?: number; mul?: number; shift?: number; flags?: number } = {}): Uint8Array {
  const view = new DataView(new ArrayBuffer(4096));
  view.setUint32(0, words.version ?? 6, true);
  view.setUint32(4, 0xdead_beef, true);
  view.setBigUint64(8, 0xffff_ffff_ffff_fff0n, true);
  view.setBigUint64(16, 1_234_567_890_123n, true);
  view.setUint32(24, words.mul ?? 0xffff_ffff, true);
  view.setInt8(28, words.shift ?? -1);
  view.setUint8(29, words.flags ?? 1);
  return new Uint8Array(view.buffer);
}

describe('a pvclock page', () => {
  test('decodes word by word, counter and time unsigned, shift signed', () => {
    expect(decodePvclock(page())).toEqual({
      version: 6,
      tscTimestamp: 0xffff_ffff_ffff_fff0n,
      systemTimeNs: 1_234_567_890_123n,
      mul: 0xffff_ffffn,
      tscShift: -1,
      flags: 1,
    });
    expect(decodePvclock(page({ shift: 127, flags: 0xff }))).toMatchObject({ tscShift: 127, flags: 255 });
  });

  test.each([
    ['that was never filled', page({ version: 0 })],
    ['that is being written', page({ version: 7 })],
    ['without a rate', page({ mul: 0 })],
    ['cut short', page().subarray(0, 31)],
    ['of zeros', new Uint8Array(4096)],
  ])('%s is refused', (_, bytes) => {
    expect(() => decodePvclock(bytes)).toThrow(expect.objectContaining({ code: 'ERR_BAD_PAGE' }));
  });

  test('is 32 bytes and may lie anywhere in a buffer', () => {
    const buffer = new Uint8Array(100).fill(0xff);
    buffer.set(page().subarray(0, 32), 41);
    expect(decodePvclock(buffer.subarray(41, 73)).version).toBe(6);
  });
});

describe('the frequency that a pvclock page implies', () => {
  test('is that at which mul and shift make a nanosecond of a nanosecond', () => {
    // A cycle is mul * 2^shift / 2^32 ns.
    expect(pvclockHz({ mul: 1n << 31n, tscShift: 0 })).toBe(2e9);
    expect(pvclockHz({ mul: 1n << 31n, tscShift: 1 })).toBe(1e9);
    expect(pvclockHz({ mul: 1n << 31n, tscShift: -1 })).toBe(4e9);
  });

  test('of 2.6 GHz as KVM writes it: shift -1', () => {
    const mul = BigInt(Math.round((2 ** 33 * 1e9) / 2.6e9));
    expect(pvclockHz({ mul, tscShift: -1 })).toBeCloseTo(2.6e9, -1);
  });
});
