import { expect } from 'vitest';
import { check, inEachKernel, slowTest } from './guest.ts';
import { UNPRIVILEGED_ID } from './image.ts';
import { KERNEL_GROUPS, ONE_CPU } from './verdicts.ts';

const MONOTONIC_SEC = 86_400;
const BOOTTIME_SEC = 172_800;

inEachKernel('places', { cpus: 1, clocksource: () => 'tsc' }, (guest) => {
  slowTest('in a time namespace the page is as exact, with the offsets of the namespace', async () => {
    const within = [
      ...['unshare', '--time', '--fork'],
      ...['--monotonic', `${MONOTONIC_SEC}`, '--boottime', `${BOOTTIME_SEC}`],
    ];
    const report = await guest().validate('time-namespace', ONE_CPU, { only: KERNEL_GROUPS, within });
    expect(report.host.timeNamespace).toBe(true);
    expect(check(report, 'page.namespace').evidence).toMatchObject({
      inTimeNamespace: true,
      pageOffsetsNs: { monotonic: `${MONOTONIC_SEC}000000000`, boottime: `${BOOTTIME_SEC}000000000` },
    });
    expect(check(report, 'page.exact').evidence).toMatchObject({ outside: 0, differing: [] });
  });

  slowTest('without /sys the table knows the page, and the clocks prove it', async () => {
    const within = ['unshare', '--mount', 'sh', '-c', 'umount -l /sys && exec "$@"', 'sh'];
    const report = await guest().validate('no-sys', ONE_CPU, { only: KERNEL_GROUPS, within });
    expect(check(report, 'page.layout').evidence).toMatchObject({
      source: 'table',
      tableRow: expect.stringMatching(/^linux-/),
      btfProblem: expect.stringMatching('/sys/kernel/btf/vmlinux'),
    });
    expect(check(report, 'page.exact').evidence).toMatchObject({ outside: 0, differing: [] });
  });

  slowTest('without privileges nothing is lost that an unprivileged user has a right to', async () => {
    const id = `${UNPRIVILEGED_ID}`;
    const within = ['setpriv', '--reuid', id, '--regid', id, '--clear-groups'];
    const report = await guest().validate('unprivileged', ONE_CPU, { only: KERNEL_GROUPS, within });
    expect(report.host.privileged).toBe(false);
    expect(check(report, 'page.layout').evidence).toMatchObject({ source: 'btf' });
  });
});
