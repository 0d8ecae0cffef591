import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { LatchclockError } from '../../lib/errors.ts';
import { parseVdsoElf } from '../../lib/host/elf.ts';
import { CLOCK_IDS, PAGE_CLOCKS, type PageClockName } from '../../lib/page/posix-clocks.ts';
import { runCheckOn } from '../support/run-check.ts';
import type { SimulatedHost, SimulatedHostOptions } from '../support/simulated-host.ts';

const CLOCKSOURCE = '/sys/devices/system/clocksource/clocksource0/current_clocksource';

/** The vDSO with clock_gettime replaced: mov eax, 228; syscall; ret. */
function withSystemCalls(): Uint8Array {
  const image = Uint8Array.from(readFileSync(new URL('../fixtures/vdso-6.18.bin', import.meta.url)));
  const found = parseVdsoElf(image).symbols.find(({ name }) => name === '__vdso_clock_gettime');
  image.set([0xb8, 228, 0, 0, 0, 0x0f, 0x05, 0xc3], found?.address ?? 0);
  return image;
}

/** A pvclock page of 2.6 GHz with these flags. */
function pvclockPage(flags: number): Uint8Array {
  const page = new DataView(new ArrayBuffer(4096));
  page.setUint32(0, 2, true);
  page.setUint32(24, 0xc4ec_4ec5, true);
  page.setInt8(28, -1);
  page.setUint8(29, flags);
  return new Uint8Array(page.buffer);
}

/** These clocks enter the kernel at each call, the others never. */
function slow(...clocks: readonly PageClockName[]) {
  return ({ addon }: SimulatedHost): void => {
    addon.countKernelEntries = (ids, calls) =>
      Array.from(ids, (id) => ({
        calls,
        kernelEntries: clocks.some((clock) => CLOCK_IDS[clock] === id) ? calls : 0,
        errorNumber: 0,
      }));
  };
}

describe('vdso.image', () => {
  test('passes on a whole image', async () => {
    expect(await runCheckOn({}, 'vdso.image')).toMatchObject({ status: 'pass', evidence: { faults: [] } });
  });

  test('does not pass on an image cut to its first page', async () => {
    const image = readFileSync(new URL('../fixtures/vdso-6.18.bin', import.meta.url)).subarray(0, 4096);
    await expect(runCheckOn({ vdso: image }, 'vdso.image')).rejects.toMatchObject({ code: 'ERR_BAD_ELF' });
  });

  test('passes where nothing could be compared, and says so', async () => {
    const verdict = await runCheckOn({}, 'vdso.image');
    expect(verdict.bound).toContain('its code was compared with no other');
  });

  test('fails where a function makes the system call at once, and names it', async () => {
    const verdict = await runCheckOn({ vdso: withSystemCalls() }, 'vdso.image');
    expect(verdict).toMatchObject({
      status: 'fail',
      reason: expect.stringContaining(
        "the code is not the kernel's (__vdso_clock_gettime makes system call 228 at once)",
      ),
      advice: expect.stringContaining('LD_PRELOAD'),
      evidence: { faults: [], text: { verdict: 'replaced' } },
    });
  });

  test('cannot run without a vDSO', async () => {
    await expect(runCheckOn({ vdso: null }, 'vdso.image')).rejects.toMatchObject({ code: 'ERR_NO_VDSO' });
  });
});

describe('vdso.symbols', () => {
  test('passes when the linker and the ELF tables agree', async () => {
    expect(await runCheckOn({}, 'vdso.symbols')).toMatchObject({
      status: 'pass',
      evidence: { missing: [], moved: [] },
    });
  });

  test('warns, naming the function, when one is missing', async () => {
    const image = Buffer.from(readFileSync(new URL('../fixtures/vdso-6.18.bin', import.meta.url)));
    const at = image.indexOf('__vdso_getcpu');
    image.write('__vdso_gotcpu', at);
    const verdict = await runCheckOn({ vdso: image }, 'vdso.symbols');
    expect(verdict).toMatchObject({ status: 'warn', evidence: { missing: ['__vdso_getcpu'] } });
  });
});

describe('vdso.fast', () => {
  test('passes when no clock enters the kernel', async () => {
    const verdict = await runCheckOn({}, 'vdso.fast');
    expect(verdict).toMatchObject({
      status: 'pass',
      evidence: { entries: { monotonic: 0 }, probeRefused: null },
    });
  });

  test('says what a read costs in nanoseconds, and how they came about', async () => {
    // A reading takes 100 cycles of 385.2 ps.
    const verdict = await runCheckOn({}, 'vdso.fast');
    expect(verdict.reason).toMatch(
      /^7 clocks never enter the kernel; a read of monotonic costs 38\.5 ns, by system call 38\.5 ns \(1 times as much\)$/,
    );
    expect(verdict.bound).toMatch(
      /20 calls of each clock.*; costs are medians of 9 rounds of 2,000 calls, cycles to ns by kernel's page, 2596\.\d{3} MHz$/,
    );
    expect(verdict.evidence).toMatchObject({
      timedClock: 'monotonic',
      vdsoNs: 38.5,
      cyclesPerSecondBy: "kernel's page",
    });
  });

  test("under another clocksource nanoseconds come from the frequency in the kernel's log", async () => {
    const files = { '/dev/kmsg': '6,1,0,-;tsc: Detected 2000.000 MHz processor' };
    const verdict = await runCheckOn({ mode: 'none', files }, 'vdso.fast');
    expect(verdict.reason).toMatch(/; a read of realtime costs 50 ns, a reading of the counter 50 ns$/);
    expect(verdict.evidence).toMatchObject({ cyclesPerSecond: 2e9, cyclesPerSecondBy: 'kernel log' });
  });

  const AVAILABLE = '/sys/devices/system/clocksource/clocksource0/available_clocksource';
  const kmsg = (...lines: string[]): Record<string, string> => ({
    '/dev/kmsg': lines.map((line, index) => `4,${index},0,-;${line}`).join('\n'),
  });

  test.each<
    [string, SimulatedHostOptions, ((machine: SimulatedHost) => void) | undefined, string, string, RegExp]
  >([
    [
      'a boot parameter',
      { mode: 'none', files: { '/proc/cmdline': 'ro clocksource=hpet quiet' } },
      undefined,
      'boot-parameter',
      'the 5 clocks that need the counter enter the kernel: clocksource hpet cannot be read in user space, boot parameter clocksource=hpet;',
      /boot without clocksource=hpet/,
    ],
    [
      "the kernel's doubts",
      { mode: 'none', files: kmsg('clocksource:         CPUs 7 ahead of CPU 5 for clocksource tsc.') },
      undefined,
      'kernel-doubts',
      '"clocksource: CPUs 7 ahead of CPU 5 for clocksource tsc."',
      /Do not boot with tsc=reliable/,
    ],
    [
      'tsc that is available',
      { mode: 'none', files: { [CLOCKSOURCE]: 'xen', [AVAILABLE]: 'xen tsc hpet' } },
      undefined,
      'not-chosen',
      'clocksource xen cannot be read in user space, though tsc is available',
      /echo tsc > /,
    ],
    [
      'a pvclock without STABLE',
      { mode: 'pvclock', pvclock: pvclockPage(0) },
      slow('realtime', 'monotonic', 'monotonic-raw', 'boottime', 'tai'),
      'paravirtual-unstable',
      'does not mark STABLE (flags 0x0)',
      /its own kernel must count by the TSC/,
    ],
    [
      'code that was replaced',
      { vdso: withSystemCalls() },
      slow(...PAGE_CLOCKS),
      'vdso-replaced',
      "all 7 clocks enter the kernel: the vDSO's code is not the kernel's (__vdso_clock_gettime makes system call 228 at once)",
      /no boot parameter helps/,
    ],
    [
      'clocks that an old vDSO has not',
      { files: { '/proc/sys/kernel/osrelease': '4.18.0-553.el8.x86_64' } },
      slow('monotonic-raw', 'boottime', 'tai'),
      'not-in-vdso',
      'monotonic-raw, boottime, tai enter the kernel: not in the vDSO of this kernel, Linux 4.18.0-553.el8.x86_64; a read of monotonic-raw costs ',
      /Linux 5\.3 and later/,
    ],
    [
      'a sandbox',
      { mode: 'none', files: { [CLOCKSOURCE]: null, [AVAILABLE]: null } },
      undefined,
      'no-clocksource',
      '/sys names no clocksource',
      /a sandbox/,
    ],
  ])('fails, and names the cause: %s', async (_name, options, edit, kind, reason, advice) => {
    const verdict = await runCheckOn(options, 'vdso.fast', edit);
    expect(verdict).toMatchObject({ status: 'fail', evidence: { cause: { kind } } });
    expect(verdict.reason).toContain(reason);
    expect(verdict.advice).toMatch(advice);
  });

  test('one clock enters, two enter', async () => {
    const one = await runCheckOn({}, 'vdso.fast', slow('tai'));
    expect(one.reason).toMatch(/^tai enters the kernel: /);
    const two = await runCheckOn({}, 'vdso.fast', slow('tai', 'boottime'));
    expect(two.reason).toMatch(/^boottime, tai enter the kernel: /);
  });

  test('fails without a vDSO', async () => {
    const verdict = await runCheckOn({ vdso: null }, 'vdso.fast');
    expect(verdict).toMatchObject({ status: 'fail', evidence: { vdso: false } });
  });

  test.each([
    ['quiet vdso=0', 'boot-parameter', /^Boot without vdso=0\.$/],
    ['BOOT_IMAGE=/vmlinuz-4.4.0-gvisor quiet', 'sandbox', /gVisor/],
    ['quiet', 'removed', /unmapped/],
  ])('names the cause where the kernel was booted with "%s"', async (cmdline, cause, advice) => {
    const verdict = await runCheckOn({ vdso: null, files: { '/proc/cmdline': cmdline } }, 'vdso.fast');
    expect(verdict).toMatchObject({
      status: 'fail',
      evidence: { cause: { kind: cause } },
      advice: expect.stringMatching(advice),
    });
  });

  test('tells a vDSO that is mapped and hidden from one that is not there', async () => {
    const verdict = await runCheckOn({}, 'vdso.fast', ({ addon }) => {
      addon.vdsoBase = () => null;
    });
    expect(verdict).toMatchObject({ status: 'fail', evidence: { cause: { kind: 'hidden' } } });
    expect(verdict.advice).not.toContain('vdso=0');
  });

  const refuseProbe = ({ addon }: SimulatedHost): void => {
    addon.countKernelEntries = () => {
      throw new LatchclockError('ERR_SYSTEM_CALL', 'prctl failed with EPERM', { errno: 'EPERM' });
    };
  };

  test('counts kernel entries where the system call is refused: only its cost is not known', async () => {
    const verdict = await runCheckOn({ refusedCalls: 'EPERM' }, 'vdso.fast');
    expect(verdict).toMatchObject({
      status: 'pass',
      evidence: { entries: { monotonic: 0 }, syscallCycles: null, syscallOverVdso: null },
    });
  });

  test('judges by cost where the filter that counts is refused, and says so', async () => {
    const verdict = await runCheckOn({}, 'vdso.fast', refuseProbe);
    expect(verdict.evidence).toMatchObject({ entries: null, probeRefused: 'prctl failed with EPERM' });
    expect(verdict.bound).toContain('judged by cost alone');
  });

  test('skips where both are refused', async () => {
    const verdict = await runCheckOn({ refusedCalls: 'EPERM' }, 'vdso.fast', refuseProbe);
    expect(verdict.status).toBe('skip');
    expect(verdict.advice).toContain('seccomp');
  });
});
