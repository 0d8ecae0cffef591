import { describe, expect, test } from 'vitest';
import { KNOWN_LAYOUTS } from '../../lib/page/kernel-layout.ts';
import { runCheckOn } from '../support/run-check.ts';

const NAMESPACE = { monotonicNs: 1_000_000_000_000n, boottimeNs: -5_000_000_001n };

describe('page.layout', () => {
  test.each(KNOWN_LAYOUTS.map((layout) => ({ name: layout.name, layout })))(
    'passes on $name by the table where there is no BTF',
    async ({ layout }) => {
      const verdict = await runCheckOn({ layout }, 'page.layout');
      expect(verdict).toMatchObject({ status: 'pass', evidence: { source: 'table', tableRow: layout.name } });
    },
  );

  test('warns, with what is wrong, when there is BTF of no use', async () => {
    const verdict = await runCheckOn({ btf: new Uint8Array(64) }, 'page.layout');
    expect(verdict).toMatchObject({ status: 'warn', evidence: { source: 'table' } });
    expect(verdict.reason).toContain('although there is BTF');
  });

  test("fails when the kernel's log gives another max_cycles than the page", async () => {
    const line = '6,1,1,-;clocksource: tsc: mask: 0xffffffffffffffff max_cycles: 0x1, max_idle_ns: 2 ns';
    const verdict = await runCheckOn({ files: { '/dev/kmsg': line } }, 'page.layout');
    expect(verdict).toMatchObject({ status: 'fail', evidence: { kernelLogAgrees: false } });
  });

  test('is refused, with every layout that was tried, when the clocks disagree with the page', async () => {
    await expect(runCheckOn({ clockErrorNs: () => 1_000_000n }, 'page.layout')).rejects.toMatchObject({
      code: 'ERR_PAGE_NOT_PROVED',
    });
  });
});

describe('page.exact', () => {
  test('cannot run without a vDSO, and says why there is none', async () => {
    const hidden = runCheckOn({}, 'page.exact', ({ addon }) => {
      addon.vdsoBase = () => null;
    });
    await expect(hidden).rejects.toMatchObject({
      code: 'ERR_NO_VDSO',
      what: expect.stringContaining('the auxiliary vector hides it'),
      todo: expect.stringContaining('start the process without the launcher'),
    });
  });

  test('passes when the vDSO and the page agree, with every sampled verdict recomputed', async () => {
    const verdict = await runCheckOn({}, 'page.exact');
    expect(verdict).toMatchObject({ status: 'pass', evidence: { outside: 0, differing: [] } });
    expect(verdict.evidence['samplesPerClock']).toBeGreaterThanOrEqual(200);
    expect(verdict.evidence['recomputed']).toBeGreaterThan(0);
  });

  test('passes in a time namespace', async () => {
    const verdict = await runCheckOn({ inTimeNamespace: NAMESPACE }, 'page.exact');
    expect(verdict).toMatchObject({ status: 'pass', evidence: { outside: 0 } });
  });

  test('fails when the vDSO is a microsecond ahead of the page in one clock, and says by how much', async () => {
    const verdict = await runCheckOn(
      { clockErrorNs: (path, clock) => (path === 'vdso' && clock === 'tai' ? 1_000n : 0n) },
      'page.exact',
    );
    expect(verdict).toMatchObject({ status: 'fail', evidence: { clocks: { monotonic: { outside: 0 } } } });
    expect(verdict.evidence['outside']).toBeGreaterThan(0);
    expect(verdict.evidence['rows']).toMatchObject([{ clock: 'tai', verdict: 'below' }, {}, {}, {}]);
  });

  test('skips, with the mode and what would let it run, when the page does not follow the TSC', async () => {
    const verdict = await runCheckOn({ mode: 'none' }, 'page.exact');
    expect(verdict).toMatchObject({ status: 'skip', evidence: { mode: 0 } });
    expect(verdict.advice).toContain('clocksource tsc');
  });
});

describe('page.namespace', () => {
  test('passes outside a namespace and inside one, with its offsets', async () => {
    expect(await runCheckOn({}, 'page.namespace')).toMatchObject({ status: 'pass' });
    expect(await runCheckOn({ inTimeNamespace: NAMESPACE }, 'page.namespace')).toMatchObject({
      status: 'pass',
      evidence: {
        inTimeNamespace: true,
        pageOffsetsNs: { monotonic: 1_000_000_000_000n, boottime: -5_000_000_001n },
      },
    });
  });

  test('fails when /proc gives other offsets than the page', async () => {
    const verdict = await runCheckOn(
      {
        inTimeNamespace: NAMESPACE,
        files: { '/proc/self/timens_offsets': 'monotonic 1001 0\nboottime 0 0' },
      },
      'page.namespace',
    );
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toContain('monotonic');
  });

  test('offsets for children are not compared with the page of a process that lives elsewhere', async () => {
    const files = {
      '/proc/self/timens_offsets': 'monotonic 86400 0\nboottime 86400 0\n',
      '/proc/self/ns/time_for_children': 'time:[4026532199]',
    };
    for (const inTimeNamespace of [undefined, NAMESPACE]) {
      const place = inTimeNamespace === undefined ? {} : { inTimeNamespace };
      const verdict = await runCheckOn({ ...place, files }, 'page.namespace');
      expect(verdict.status).toBe('pass');
      expect(verdict.reason).toContain('for children: monotonic +86400 s');
      expect(verdict.bound).toContain('for children');
      expect(verdict.evidence).toMatchObject({
        procOffsetsNs: null,
        procOffsetsForChildrenNs: { monotonicNs: 86_400_000_000_000n },
      });
    }
  });

  test('goes by the page alone, and says so, where /proc does not tell', async () => {
    const files = { '/proc/self/timens_offsets': null, '/proc/self/ns/time': null };
    const verdict = await runCheckOn({ inTimeNamespace: NAMESPACE, files }, 'page.namespace');
    expect(verdict.status).toBe('pass');
    expect(verdict.reason).toContain('by the page alone');
  });
});

describe('page.faults', () => {
  test('passes with faulting pages as an answer', async () => {
    const verdict = await runCheckOn({}, 'page.faults');
    expect(verdict.status).toBe('pass');
    const states = (verdict.evidence['pages'] as { state: string }[]).map(({ state }) => state);
    expect(states).toContain('faults');
    expect(states).toContain('readable');
  });

  test('skips where the process has no such pages', async () => {
    expect(await runCheckOn({ vvar: false }, 'page.faults')).toMatchObject({ status: 'skip' });
  });
});
