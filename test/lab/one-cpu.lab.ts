import { expect, inject } from 'vitest';
import { comparesExactly, hazardsHold, validatesExactly } from './exactness.ts';
import { inEachKernel, parsed, slowTest } from './guest.ts';
import { KERNEL_GROUPS, ONE_CPU, ONE_CPU_WHOLE } from './verdicts.ts';

const NAME = 'one-cpu';

inEachKernel(NAME, { cpus: 1, clocksource: () => 'tsc' }, (guest) => {
  const whole = !inject('lab').quick;

  slowTest('validate: BTF and table agree on the page, and nothing computed from it is off', () =>
    whole
      ? validatesExactly(guest(), NAME, ONE_CPU_WHOLE, {})
      : validatesExactly(guest(), NAME, ONE_CPU, { only: KERNEL_GROUPS }),
  );

  slowTest('compare: each update is explained, and simulated time is kernel time', () =>
    comparesExactly(guest(), NAME),
  );

  slowTest('inspect finds the page by BTF, and proves all seven clocks of it', async () => {
    const ran = await guest().latchclock(['inspect', '--format', 'json']);
    guest().note(NAME, 'inspect', ran);
    expect({ code: ran.code, err: ran.err }).toEqual({ code: 0, err: '' });
    const { page, vdso } = parsed<Inspected>(ran);
    expect({ ...page, clocks: page.proof.clocks.length, proof: null }).toMatchObject({
      found: 'btf',
      region: '[vvar]',
      mode: 'tsc',
      btfProblem: null,
      problem: null,
      clocks: 7,
    });
    expect(vdso.symbols.map(({ name }) => name)).toContain('__vdso_clock_gettime');
  });

  if (whole) {
    slowTest('hazards: threads find each reader as it should be', () => hazardsHold(guest(), NAME));
  }
});

/** Of the JSON of `inspect`, what is looked at. */
interface Inspected {
  page: {
    found: string;
    region: string;
    mode: string;
    proof: { clocks: string[] };
    btfProblem: string | null;
    problem: string | null;
  };
  vdso: { symbols: { name: string }[] };
}
