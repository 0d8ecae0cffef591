import { describe, expect, test } from 'vitest';
import { decodeVmclock, type VmclockRefusal, type VmclockScale } from '../../lib/page/vmclock.ts';

/** Pages that were met, from their start; zeros up to 4096 bytes follow. */
const MET = {
  version999:
    '56434c4b68000000e70301000a00000038900d00000000000000000000000000000002000000000040e2010000000000',
  size8: '56434c4b08000000010001000a00000038900d00000000000000000000000000000002000000000040e2010000000000',
  tai37:
    '56434c4b00100000010001010a00000038900d0000000000010000000000000000000200250000' +
    '0040e20100000000003e9be3a6010000000000000000000000000000000000000025f1536500000000',
} as const;

function met(name: keyof typeof MET): Uint8Array {
  const bytes = new Uint8Array(4096);
  bytes.set(Buffer.from(MET[name], 'hex'));
  return bytes;
}

type Change = (view: DataView) => void;

const UTC_PAGE: Change = (view) => view.setUint8(0x0b, 0);

/** A sound page, counting TAI with a valid offset of 37 s, changed. */
function page(...changes: Change[]): Uint8Array {
  const bytes = met('tai37');
  for (const change of changes) change(new DataView(bytes.buffer));
  return bytes;
}

function refusalOf(bytes: Uint8Array, scale: VmclockScale): VmclockRefusal | null {
  return decodeVmclock(bytes, scale).refusal;
}

describe('a VMClock page that is taken', () => {
  test('counts TAI: UTC is 37 s less where its offset is 37 s and valid, and TAI is as it is', () => {
    const utc = decodeVmclock(met('tai37'), 'utc').page;
    expect(utc).toEqual({
      timeType: 'tai',
      isSynchronized: true,
      taiOffsetSeconds: 37,
      toScaleSeconds: -37n,
      maxErrorNs: null,
    });
    // What the page holds is 37 s after the round second that is meant.
    expect(new DataView(met('tai37').buffer).getBigUint64(0x48, true)).toBe(1_700_000_037n);
    expect(decodeVmclock(met('tai37'), 'tai').page?.toScaleSeconds).toBe(0n);
  });

  test('counts UTC: TAI is 37 s more by a valid offset, and UTC needs none', () => {
    const valid = page(UTC_PAGE);
    expect(decodeVmclock(valid, 'tai').page?.toScaleSeconds).toBe(37n);
    expect(decodeVmclock(valid, 'utc').page?.toScaleSeconds).toBe(0n);
    const without = page(UTC_PAGE, (view) => view.setBigUint64(0x18, 0n, true));
    expect(decodeVmclock(without, 'utc').page).toMatchObject({ toScaleSeconds: 0n, taiOffsetSeconds: null });
  });

  test('runs freely, and says so', () => {
    const free = page((view) => view.setUint8(0x22, 3));
    expect(decodeVmclock(free, 'utc').page?.isSynchronized).toBe(false);
  });

  test('states its error only where the flag says that it does', () => {
    const withError: Change = (view) => view.setBigUint64(0x60, 1_234n, true);
    expect(decodeVmclock(page(withError), 'utc').page?.maxErrorNs).toBeNull();
    const flagged = page(withError, (view) => view.setBigUint64(0x18, (1n << 6n) | 1n, true));
    expect(decodeVmclock(flagged, 'utc').page?.maxErrorNs).toBe(1_234n);
  });

  test('has flags that are not known, a size of exactly what is needed, or of all there is', () => {
    expect(
      refusalOf(
        page((view) => view.setBigUint64(0x18, 0xffff_ffff_ffff_ffffn, true)),
        'utc',
      ),
    ).toBeNull();
    for (const size of [0x68, 4096]) {
      expect(
        refusalOf(
          page((view) => view.setUint32(0x04, size, true)),
          'utc',
        ),
      ).toBeNull();
    }
    expect(refusalOf(page((view) => view.setUint32(0x04, 0x68, true)).subarray(0, 0x68), 'utc')).toBeNull();
  });

  test('may lie anywhere in a larger buffer', () => {
    const larger = new Uint8Array(8192);
    larger.set(met('tai37'), 24);
    expect(refusalOf(larger.subarray(24, 24 + 4096), 'utc')).toBeNull();
  });
});

describe('a VMClock page is refused by name', () => {
  const set8 =
    (at: number, value: number): Change =>
    (view) =>
      view.setUint8(at, value);
  test.each<[string, Uint8Array, VmclockRefusal, string]>([
    ['of no bytes', new Uint8Array(0), 'cut-short', '0 bytes'],
    ['cut by one byte', page().subarray(0, 0x67), 'cut-short', '103 bytes'],
    ['of zeros', new Uint8Array(4096), 'magic', '0x0'],
    ['of another magic', page(set8(3, 0x4c)), 'magic', '0x4c4c4356'],
    ['of version 999', met('version999'), 'version', '999'],
    ['of version 0', page((view) => view.setUint16(0x08, 0, true)), 'version', 'version is 0'],
    ['that states 8 bytes', met('size8'), 'size-too-small', 'a size of 8 bytes'],
    ['that states a byte too few', page((view) => view.setUint32(0x04, 0x67, true)), 'size-too-small', '103'],
    [
      'that states a byte more than there is',
      page((view) => view.setUint32(0x04, 4097, true)),
      'size-beyond-region',
      '4097 bytes in 4096',
    ],
    [
      'that states 4 GiB',
      page((view) => view.setUint32(0x04, 0xffff_ffff, true)),
      'size-beyond-region',
      '4294967295',
    ],
    ['without a counter', page(set8(0x0a, 0xff)), 'counter', 'no counter'],
    ["by Arm's counter", page(set8(0x0a, 0)), 'counter', 'Arm'],
    ['by a counter that is not known', page(set8(0x0a, 7)), 'counter', 'counter 7'],
    ['from an arbitrary start', page(set8(0x0b, 2)), 'time-type', 'arbitrary start'],
    ['of smeared time', page(set8(0x0b, 3)), 'time-type', 'smeared'],
    ['of time that may be smeared', page(set8(0x0b, 4)), 'time-type', 'may be smeared'],
    ['of a time that is not known', page(set8(0x0b, 5)), 'time-type', 'type 5'],
    ['of unknown status', page(set8(0x22, 0)), 'status', 'unknown'],
    ['that is initializing', page(set8(0x22, 1)), 'status', 'initializing'],
    ['that is unreliable', page(set8(0x22, 4)), 'status', 'unreliable'],
    ['of a status that is not known', page(set8(0x22, 5)), 'status', '5'],
    ['without a period', page((view) => view.setBigUint64(0x30, 0n, true)), 'period', 'no period'],
    [
      'of TAI whose offset is not valid',
      page((view) => view.setBigUint64(0x18, 0n, true)),
      'tai-offset-not-valid',
      'counts TAI',
    ],
    [
      'of TAI whose flags are others',
      page((view) => view.setBigUint64(0x18, 0xffff_fffen, true)),
      'tai-offset-not-valid',
      'UTC',
    ],
    [
      'whose offset has the other sign',
      page((view) => view.setInt16(0x24, -37, true)),
      'tai-offset-impossible',
      '-37 s',
    ],
    [
      'whose valid offset is 0',
      page((view) => view.setInt16(0x24, 0, true)),
      'tai-offset-impossible',
      'offset of 0 s',
    ],
  ])('%s', (_, bytes, refusal, what) => {
    const decoded = decodeVmclock(bytes, 'utc');
    expect(decoded).toMatchObject({ page: null, refusal });
    expect(decoded.page === null && decoded.what).toContain(what);
  });

  test('of UTC, where TAI is wanted and its offset is not valid', () => {
    const without = page(UTC_PAGE, (view) => view.setBigUint64(0x18, 0n, true));
    expect(refusalOf(without, 'tai')).toBe('tai-offset-not-valid');
  });
});
