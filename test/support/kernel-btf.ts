import type { KernelClockOffsets, KernelPageLayout } from '../../lib/page/kernel-layout.ts';
import { BtfBuilder, type BuiltMember } from './btf-builder.ts';

/** Bytes from the start of the page at which kernels before 6.13 put the structure; BTF does not tell it. */
const OLD_START = 128;

function clockMembers(at: KernelClockOffsets, start: number, types: Record<string, number>): BuiltMember[] {
  const { u32 = 0, s32 = 0, u64 = 0, bases = 0 } = types;
  const member = (name: string, type: number, offset: number | null): BuiltMember[] =>
    offset === null ? [] : [{ name, type, offset: offset - start }];
  return [
    ...member('seq', u32, at.seq),
    ...member('clock_mode', s32, at.mode),
    ...member('cycle_last', u64, at.cycleLast),
    ...member('max_cycles', u64, at.maxCycles),
    ...member('mask', u64, at.mask),
    ...member('mult', u32, at.mult),
    ...member('shift', u32, at.shift),
    { type: bases, offset: at.basetime - start },
  ];
}

/**
 * The few types of a kernel's BTF that describe its clock page, such that `layout` follows from them. Old layouts
 * become `struct vdso_data`, new ones `struct vdso_clock` within `struct vdso_time_data`.
 */
export function kernelBtf(layout: KernelPageLayout): Uint8Array {
  const btf = new BtfBuilder();
  const u32 = btf.int('unsigned int', 4);
  const s32 = btf.int('int', 4, { signed: true });
  const u64 = btf.alias('typedef', btf.int('unsigned long long', 8), 'u64');
  const stamp = btf.struct('vdso_timestamp', 16, [
    { name: 'sec', type: u64 },
    { name: 'nsec', type: u64, offset: 8 },
  ]);
  const offset = btf.struct('timens_offset', 16, [
    { name: 'sec', type: btf.int('long long', 8, { signed: true }) },
    { name: 'nsec', type: u64, offset: 8 },
  ]);
  const bases = btf.union('', 192, [
    { name: 'basetime', type: btf.array(stamp, 12) },
    { name: 'offset', type: btf.array(offset, 12) },
  ]);
  const types = { u32, s32, u64, bases };
  const start = Math.min(layout.main.seq, layout.main.mode) < OLD_START ? 0 : OLD_START;
  const members = clockMembers(layout.main, start, types);
  // Large enough for layouts that no kernel has, too.
  const ends = members.map(({ type, offset = 0 }) => offset + (type === bases ? 192 : 8));
  const size = Math.max(layout.raw.seq - layout.main.seq, ...ends);
  if (layout.struct === 'vdso_data') {
    btf.struct('vdso_data', size, [
      ...members,
      { name: 'hrtimer_res', type: u32, offset: layout.hrtimerRes - start },
    ]);
    return btf.build();
  }
  const clock = btf.struct('vdso_clock', size, members);
  btf.struct('vdso_time_data', Math.max(2 * size, layout.hrtimerRes + 4), [
    { name: 'clock_data', type: btf.array(clock, 2) },
    { name: 'hrtimer_res', type: u32, offset: layout.hrtimerRes },
  ]);
  return btf.build();
}
