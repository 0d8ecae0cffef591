import { describe, expect, test } from 'vitest';
import { openHost, openMachine } from '../../lib/host/host.ts';
import { inspectHost } from '../../lib/host/inspect.ts';
import { inspectJson } from '../../lib/report/inspect-json.ts';
import { inspectText } from '../../lib/report/inspect-text.ts';
import { textStyle } from '../../lib/report/text.ts';
import { shippedSchema } from '../support/schema.ts';
import { type SimulatedHostOptions, simulatedHost } from '../support/simulated-host.ts';

const MACHINES: [string, SimulatedHostOptions][] = [
  ['a sound host', {}],
  ['a host without vDSO', { vdso: null }],
  ['a host without [vvar]', { vvar: false }],
  ['a host whose CPUID traps', { cpuid: 'traps' }],
  ['a host with its counter disabled', { counterState: 'disabled' }],
  ['a host in a time namespace', { inTimeNamespace: { monotonicNs: -1n, boottimeNs: 10n ** 12n } }],
  ['a host with the clocksource hpet', { mode: 'none' }],
  [
    'a host without /proc',
    { maps: false, files: { '/proc/self/ns/time': null, '/proc/self/timens_offsets': null } },
  ],
];

describe.each(MACHINES)('an inspection of %s', (_name, options) => {
  const { addon, files } = simulatedHost(options);
  const inspection = inspectHost(openHost(addon, files));

  test('follows the shipped schema', () => {
    const validate = shippedSchema('inspect-1');
    validate(JSON.parse(inspectJson(inspection)));
    expect(validate.errors).toBeNull();
  });

  test('fits in 80 columns', () => {
    for (const line of inspectText(inspection, textStyle({})).split('\n')) {
      expect(line.length).toBeLessThanOrEqual(80);
    }
  });
});

test('an inspection of this machine follows the schema, and its clocks tell the time', () => {
  const before = BigInt(Date.now());
  const json = JSON.parse(inspectJson(inspectHost(openMachine())));
  const after = BigInt(Date.now());
  const validate = shippedSchema('inspect-1');
  validate(json);
  expect(validate.errors).toBeNull();
  if (json.page.problem === null && json.page.mode === 'tsc') {
    const realtimeMs = BigInt(json.page.now.ns.realtime) / 1_000_000n;
    expect(realtimeMs).toBeGreaterThanOrEqual(before);
    expect(realtimeMs).toBeLessThanOrEqual(after);
  }
});
