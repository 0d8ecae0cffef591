import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { LatchclockError } from '../../lib/errors.ts';
import { runCheckOn } from '../support/run-check.ts';
import type { SimulatedHost } from '../support/simulated-host.ts';

const CLOCKSOURCE = '/sys/devices/system/clocksource/clocksource0/current_clocksource';

describe('vdso.image', () => {
  test('passes on a whole image', async () => {
    expect(await runCheckOn({}, 'vdso.image')).toMatchObject({ status: 'pass', evidence: { faults: [] } });
  });

  test('does not pass on an image cut to its first page', async () => {
    const image = readFileSync(new URL('../fixtures/vdso-6.18.bin', import.meta.url)).subarray(0, 4096);
    await expect(runCheckOn({ vdso: image }, 'vdso.image')).rejects.toMatchObject({ code: 'ERR_BAD_ELF' });
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

  test('fails under a clocksource that user space cannot read, and names it', async () => {
    const verdict = await runCheckOn({ mode: 'none', files: { [CLOCKSOURCE]: 'hpet' } }, 'vdso.fast');
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toContain('hpet');
    expect(verdict.advice).toContain('system call');
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
      evidence: { cause },
      advice: expect.stringMatching(advice),
    });
  });

  test('tells a vDSO that is mapped and hidden from one that is not there', async () => {
    const verdict = await runCheckOn({}, 'vdso.fast', ({ addon }) => {
      addon.vdsoBase = () => null;
    });
    expect(verdict).toMatchObject({ status: 'fail', evidence: { cause: 'hidden' } });
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
