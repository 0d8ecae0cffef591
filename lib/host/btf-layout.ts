import { LatchclockError } from '../errors.js';
import type { KernelClockOffsets, KernelPageLayout } from '../page/kernel-layout.js';
import type { Btf } from './btf.js';

// BTF tells offsets inside a structure, not where in the page the structure lies: x86 kernels up to 6.12 put it
// 128 bytes in (asm/vvar.h), newer ones at the start. The bytes decide which.
const STRUCT_STARTS = [0, 128];
const BASETIME_STRIDE = 16;

interface ClockArray {
  struct: string;
  /** Where the two clock structures (main, raw) lie within the whole. */
  clocks: [number, number];
  clockStruct: string;
  hrtimerRes: number;
}

function findClockArray(btf: Btf): ClockArray | null {
  const clock = btf.struct('vdso_clock');
  const time = btf.struct('vdso_time_data');
  if (clock !== null && time !== null) {
    const first = btf.offsetOf('vdso_time_data', 'clock_data[0]').offset;
    return {
      struct: 'vdso_clock',
      clocks: [first, btf.offsetOf('vdso_time_data', 'clock_data[1]').offset],
      clockStruct: 'vdso_clock',
      hrtimerRes: btf.offsetOf('vdso_time_data', 'hrtimer_res').offset,
    };
  }
  const data = btf.struct('vdso_data');
  if (data === null) return null;
  return {
    struct: 'vdso_data',
    clocks: [0, data.size],
    clockStruct: 'vdso_data',
    hrtimerRes: btf.offsetOf('vdso_data', 'hrtimer_res').offset,
  };
}

/**
 * The layouts that a kernel's BTF allows for its clock page, to be proved.
 *
 * @throws LatchclockError `ERR_BAD_BTF` if the kernel's types describe no clock page, or lack a field
 */
export function layoutsFromBtf(btf: Btf): KernelPageLayout[] {
  const found = findClockArray(btf);
  if (found === null) {
    throw new LatchclockError('ERR_BAD_BTF', 'the kernel has neither struct vdso_time_data nor vdso_data', {
      where: '/sys/kernel/btf/vmlinux',
    });
  }
  const firstBasetime = btf.offsetOf(found.clockStruct, 'basetime').offset;
  const secondNsec = btf.offsetOf(found.clockStruct, 'basetime[1].nsec').offset;
  if (secondNsec !== firstBasetime + BASETIME_STRIDE + 8) {
    throw new LatchclockError('ERR_BAD_BTF', 'base times are not 8 bytes of seconds and 8 of nanoseconds', {
      where: `struct ${found.clockStruct}`,
    });
  }
  const has = new Set(btf.struct(found.clockStruct)?.members.map((member) => member.name));
  const at = (start: number, field: string): number => start + btf.offsetOf(found.clockStruct, field).offset;
  const clockAt = (start: number): KernelClockOffsets => ({
    seq: at(start, 'seq'),
    mode: at(start, 'clock_mode'),
    cycleLast: at(start, 'cycle_last'),
    maxCycles: has.has('max_cycles') ? at(start, 'max_cycles') : null,
    mask: has.has('mask') ? at(start, 'mask') : null,
    mult: at(start, 'mult'),
    shift: at(start, 'shift'),
    basetime: at(start, 'basetime'),
  });
  return STRUCT_STARTS.map((start) => ({
    name: `btf ${found.struct}+${start}`,
    source: 'btf',
    struct: found.struct,
    main: clockAt(start + found.clocks[0]),
    raw: clockAt(start + found.clocks[1]),
    hrtimerRes: start + found.hrtimerRes,
  }));
}
