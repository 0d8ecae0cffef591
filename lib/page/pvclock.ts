import { LatchclockError } from '../errors.js';

/** A paravirtual clock page as a hypervisor writes it (`struct pvclock_vcpu_time_info`, an ABI of KVM and Xen). */
export interface PvclockWords {
  /** Odd while the hypervisor writes. */
  readonly version: number;
  /** Counter at which `systemTimeNs` held, cycles. */
  readonly tscTimestamp: bigint;
  readonly systemTimeNs: bigint;
  /** Nanoseconds per cycle, scaled by 2^32, after the shift. */
  readonly mul: bigint;
  /** Cycles are shifted left by this first, right if it is negative: -128..127. */
  readonly tscShift: number;
  readonly flags: number;
}

const BYTES = 32;

/**
 * Decodes a pvclock page.
 *
 * @throws LatchclockError `ERR_BAD_PAGE` if it is too short, was being written, or was never filled
 */
export function decodePvclock(bytes: Uint8Array): PvclockWords {
  if (bytes.length < BYTES) {
    throw new LatchclockError('ERR_BAD_PAGE', `a pvclock page of ${bytes.length} bytes is too short`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const words: PvclockWords = {
    version: view.getUint32(0, true),
    tscTimestamp: view.getBigUint64(8, true),
    systemTimeNs: view.getBigUint64(16, true),
    mul: BigInt(view.getUint32(24, true)),
    tscShift: view.getInt8(28),
    flags: view.getUint8(29),
  };
  if (words.version === 0 || (words.version & 1) !== 0 || words.mul === 0n) {
    throw new LatchclockError('ERR_BAD_PAGE', 'the pvclock page holds no finished reading', {
      where: `version ${words.version}, mul ${words.mul}`,
    });
  }
  return words;
}

/** The counter's frequency as the hypervisor reckons it, Hz: `1e9 * 2^32 / (mul * 2^tscShift)`. */
export function pvclockHz({ mul, tscShift }: Pick<PvclockWords, 'mul' | 'tscShift'>): number {
  return (1e9 * 2 ** 32) / (Number(mul) * 2 ** tscShift);
}
