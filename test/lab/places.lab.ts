import { expect } from 'vitest';
import { comparesExactly } from './exactness.ts';
import { check, inEachKernel, slowTest } from './guest.ts';
import { UNPRIVILEGED_ID } from './image.ts';
import { KERNEL_GROUPS, ONE_CPU } from './verdicts.ts';

const MONOTONIC_SEC = 86_400;
const BOOTTIME_SEC = 172_800;

const IN_TIME_NAMESPACE = [
  ...['unshare', '--time', '--fork'],
  ...['--monotonic', `${MONOTONIC_SEC}`, '--boottime', `${BOOTTIME_SEC}`],
];
const WITHOUT_SYS = ['unshare', '--mount', 'sh', '-c', 'umount -l /sys && exec "$@"', 'sh'];
const UNPRIVILEGED = [
  'setpriv',
  ...['--reuid', `${UNPRIVILEGED_ID}`, '--regid', `${UNPRIVILEGED_ID}`, '--clear-groups'],
];

inEachKernel('places', { cpus: 1, clocksource: () => 'tsc' }, (guest) => {
  slowTest('in a time namespace the page is as exact, with the offsets of the namespace', async () => {
    const where = { only: KERNEL_GROUPS, within: IN_TIME_NAMESPACE };
    const report = await guest().validate('time-namespace', ONE_CPU, where);
    expect(report.host.timeNamespace).toBe(true);
    expect(check(report, 'page.namespace').evidence).toMatchObject({
      inTimeNamespace: true,
      pageOffsetsNs: { monotonic: `${MONOTONIC_SEC}000000000`, boottime: `${BOOTTIME_SEC}000000000` },
    });
    expect(check(report, 'page.exact').evidence).toMatchObject({ outside: 0, differing: [] });
    await comparesExactly(guest(), 'time-namespace', IN_TIME_NAMESPACE);
  });

  slowTest('without /sys the table knows the page, and the clocks prove it', async () => {
    const report = await guest().validate('no-sys', ONE_CPU, { only: KERNEL_GROUPS, within: WITHOUT_SYS });
    expect(report.host.clocksource.current).toBeNull();
    expect(check(report, 'page.layout').evidence).toMatchObject({
      source: 'table',
      tableRow: expect.stringMatching(/^linux-/),
      btfProblem: expect.stringMatching('/sys/kernel/btf/vmlinux'),
    });
    expect(check(report, 'page.exact').evidence).toMatchObject({ outside: 0, differing: [] });
    await comparesExactly(guest(), 'no-sys', WITHOUT_SYS);
  });

  slowTest('without privileges nothing is lost', async () => {
    const where = { only: KERNEL_GROUPS, within: UNPRIVILEGED };
    const report = await guest().validate('unprivileged', ONE_CPU, where);
    expect(report.host.privileged).toBe(false);
    expect(check(report, 'page.layout').evidence).toMatchObject({ source: 'btf' });
    await comparesExactly(guest(), 'unprivileged', UNPRIVILEGED);
  });
});
