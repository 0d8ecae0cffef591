import { expect } from 'vitest';
import { check, type Guest, parsed, type Selection } from './guest.ts';
import type { Verdicts } from './verdicts.ts';

/** Of the JSON of `compare`, what is looked at. */
interface Compared {
  holds: boolean;
  updates: { explained: number; unexplained: number };
  clocks: { id: string; samples: number; maxAbsNs: string; vdso: { outside: number } }[];
}

/** `validate` of a guest that counts by the TSC: BTF and table agree on the page, and nothing computed from it is off. */
export async function validatesExactly(
  guest: Guest,
  column: string,
  verdicts: Verdicts,
  selection: Selection,
): Promise<void> {
  const report = await guest.validate(column, verdicts, selection);
  expect(check(report, 'page.layout').evidence).toMatchObject({
    source: 'btf',
    tableRow: expect.stringMatching(/^linux-/),
    btfProblem: null,
  });
  expect(check(report, 'page.exact').evidence).toMatchObject({ outside: 0, differing: [] });
  expect(check(report, 'page.updates').evidence).toMatchObject({ unexplained: 0, failures: [] });
}

/** `compare` of such a guest: each update is explained, and simulated time is kernel time to the nanosecond. */
export async function comparesExactly(
  guest: Guest,
  column: string,
  within: readonly string[] = [],
): Promise<void> {
  const ran = await guest.latchclock(['compare', '--for', '250updates', '--format', 'json'], within);
  guest.note(column, 'compare', ran);
  const { holds, updates, clocks } = parsed<Compared>(ran);
  expect({ code: ran.code, holds, unexplained: updates.unexplained }).toEqual({
    code: 0,
    holds: true,
    unexplained: 0,
  });
  expect(updates.explained).toBeGreaterThan(0);
  expect(clocks).toHaveLength(7);
  for (const { samples, maxAbsNs, vdso } of clocks) {
    expect(samples).toBeGreaterThan(0);
    expect({ maxAbsNs, outside: vdso.outside }).toEqual({ maxAbsNs: '0', outside: 0 });
  }
}

/** `hazards` by threads: each reader is as it should be. */
export async function hazardsHold(guest: Guest, column: string): Promise<void> {
  const ran = await guest.latchclock(['hazards', '--only', 'stressed', '--quick', '--format', 'json']);
  guest.note(column, 'hazards', ran);
  expect({ code: ran.code, err: ran.err }).toEqual({ code: 0, err: '' });
}
