import { expect } from 'vitest';
import { check, inEachKernel, slowTest } from './guest.ts';
import { KERNEL_GROUPS, ONE_CPU } from './verdicts.ts';

const NAME = 'no-vdso';

const WITHOUT_VDSO = {
  'vdso.fast': 'fail',
  'vdso.image': 'skip',
  'vdso.symbols': 'skip',
  'page.layout': 'skip',
  'page.exact': 'skip',
  'page.namespace': 'skip',
  'page.faults': 'skip',
  'page.updates': 'skip',
  'latch.kernel': 'skip',
};

inEachKernel(NAME, { cpus: 1, parameters: ['vdso=0'], clocksource: () => 'tsc' }, (guest) => {
  slowTest('validate: vdso.fast fails, and what needs the vDSO or its pages is skipped', async () => {
    const report = await guest().validate(NAME, { ...ONE_CPU, ...WITHOUT_VDSO }, { only: KERNEL_GROUPS });
    const { reason, advice } = check(report, 'vdso.fast');
    expect(reason).toMatch('no vDSO: every read of a clock is a system call');
    expect(advice).toMatch('Boot without vdso=0');
  });

  slowTest('compare cannot run, and says that there are no pages', async () => {
    const ran = await guest().latchclock(['compare']);
    guest().note(NAME, 'compare', ran);
    expect({ code: ran.code, out: ran.out }).toEqual({ code: 3, out: '' });
    expect(ran.err).toMatch('vvar');
  });
});
