import { describe, expect, test } from 'vitest';
import { rateEvidence } from '../../lib/checks/kept-judge.ts';
import type { Reading, StartKept } from '../../lib/checks/kept-page.ts';
import type { Check, Verdict } from '../../lib/checks/model.ts';
import { namespaceChecksWith } from '../../lib/checks/namespace.ts';
import { preferenceChecksWith } from '../../lib/checks/preference.ts';
import { scheduleChecksWith } from '../../lib/checks/schedule.ts';
import { smearChecksWith } from '../../lib/checks/smear.ts';
import { smearCases } from '../../lib/checks/smear-phases.ts';
import { LatchclockError } from '../../lib/errors.ts';
import { OWN_CLOCKS } from '../../lib/page/clock-page.ts';
import { parsePolicy } from '../../lib/smear/custom-policy.ts';
import type { Leap } from '../../lib/smear/leap.ts';
import { smearedNsAt, smearOf } from '../../lib/smear/smear.ts';
import { leapTimeline } from '../../lib/timekeeper/leap-timeline.ts';
import { runCheck } from '../support/run-check.ts';
import { type SimulatedHostOptions, simulatedHost } from '../support/simulated-host.ts';
import { type SimulatedTimekeeperOptions, simulatedTimekeeper } from '../support/simulated-timekeeper.ts';

const checksWith = (start: StartKept): Check[] => [
  ...smearChecksWith(start),
  ...scheduleChecksWith(start),
  ...preferenceChecksWith(start),
  ...namespaceChecksWith(start),
];
const IDS = checksWith(() => Promise.reject(new Error('not started'))).map(({ id }) => id);

async function verdictOf(
  id: string,
  timekeeper: SimulatedTimekeeperOptions = {},
  host: SimulatedHostOptions = {},
): Promise<Verdict> {
  const machine = simulatedHost({ updateEveryCycles: 10_384_575n, ...host });
  const start = simulatedTimekeeper(machine, timekeeper);
  return runCheck(machine, checksWith(start).find((check) => check.id === id) as Check);
}

describe('on a sound host', () => {
  test.each(IDS)('%s passes', async (id) => {
    expect(await verdictOf(id)).toMatchObject({ status: 'pass' });
  });
});

describe('with a reader that is wrong', () => {
  const once = (from: bigint, what: SimulatedTimekeeperOptions['spoil']): SimulatedTimekeeperOptions => {
    let reads = 0n;
    return {
      spoil: (ns, page, cycles) => {
        if (++reads >= from) what?.(ns, page, cycles);
      },
    };
  };
  const faults: [string, string, SimulatedTimekeeperOptions, RegExp][] = [
    [
      'smear.phases',
      'smears 3 ns off',
      once(50n, (ns) => {
        ns['smeared-realtime'] += 3n;
      }),
      /not the policy's/,
    ],
    [
      'smear.phases',
      'smears sane-realtime',
      once(50n, (ns) => {
        ns['sane-realtime'] += 1n;
      }),
      /whole seconds/,
    ],
    [
      'smear.phases',
      'mixes realtime',
      once(50n, (ns) => {
        ns.realtime -= 1n;
      }),
      /neither/,
    ],
    [
      'smear.phases',
      'goes back in raw',
      once(50n, (ns) => {
        ns['monotonic-raw'] -= 1_000_000n;
      }),
      /back/,
    ],
    [
      'smear.window',
      'lags the policy',
      once(50n, (ns) => {
        ns['smeared-realtime'] -= 10n;
      }),
      /not the policy's/,
    ],
    [
      'smear.kernel',
      'is 100 ns ahead in boottime',
      once(1n, (ns) => {
        ns.boottime += 100n;
      }),
      /boottime is outside/,
    ],
    [
      'smear.kernel',
      'is 100 ns behind in raw',
      once(1n, (ns) => {
        ns['monotonic-raw'] -= 100n;
      }),
      /raw is outside/,
    ],
    [
      'schedule.leap',
      'steps by less than a second',
      once(50n, (ns) => {
        ns['sane-realtime'] += 1n;
      }),
      /whole seconds/,
    ],
    [
      'preference.switch',
      'tears realtime',
      once(50n, (ns) => {
        ns.realtime = (ns['sane-realtime'] + ns['smeared-realtime']) / 2n;
      }),
      /neither/,
    ],
    [
      'namespace.offsets',
      'has an offset that is 100 ns off',
      {
        spoil: (ns, page) => {
          if (page === 1) ns.monotonic += 100n;
        },
      },
      /outer: monotonic is off/,
    ],
    [
      'namespace.offsets',
      'has a realtime of its own',
      {
        spoil: (ns, page) => {
          if (page === 2) ns.realtime += 1_000_000n;
        },
      },
      /nested: realtime/,
    ],
  ];
  test.each(faults)('%s fails where it %s', async (id, _what, options, reason) => {
    const verdict = await verdictOf(id, options);
    expect(verdict.reason).toMatch(reason);
    expect(verdict.status).toBe('fail');
  });
});

describe('where nothing can be told', () => {
  test.each(IDS)('%s is skipped without a source, and says why', async (id) => {
    const start = async (): Promise<never> => {
      throw new LatchclockError('ERR_SOURCE', 'there is no source of time', { todo: 'find one' });
    };
    const check = checksWith(start).find((one) => one.id === id) as Check;
    const verdict = await runCheck(simulatedHost({}), check);
    expect(verdict).toMatchObject({ status: 'skip', advice: 'find one' });
    expect(verdict.reason).toContain('no source of time');
  });

  test.each(IDS)('%s does not pass where every read is refused', async (id) => {
    expect(await verdictOf(id, { refuses: () => true })).toMatchObject({ status: 'skip' });
  });

  test.each(IDS)('%s throws what keeps the counter from being read', async (id) => {
    await expect(verdictOf(id, {}, { counterState: 'disabled' })).rejects.toMatchObject({
      code: 'ERR_COUNTER_DISABLED',
    });
  });
});

describe('the rate of a stretch of readings', () => {
  const smear = smearOf(parsePolicy('google-24h'), leapTimeline().leaps.at(-1) as Leap, leapTimeline());
  const at = (taiNs: bigint, offNs = 0n): Reading => {
    const smeared = smearedNsAt(smear, taiNs) + offNs;
    const ns = Object.fromEntries(OWN_CLOCKS.map((clock) => [clock, taiNs])) as Reading['ns'];
    return { cycles: taiNs, boundNs: 1n, ns: { ...ns, 'smeared-realtime': smeared } };
  };
  const from = at(smear.startNs + 1_000_000_000n);

  test.each([
    [0n, true],
    [100n, false],
    [-100n, false],
  ])('with %i ns gained in 10 ms is right: %s', (gainedNs, isRight) => {
    expect(rateEvidence(smear, from, at(smear.startNs + 1_010_000_000n, gainedNs))).toMatchObject({
      isRight,
    });
  });
});

describe('schedule.frequency', () => {
  /** A timekeeper of which `edit` has each change before it is scheduled. */
  const scheduled = async (
    options: SimulatedTimekeeperOptions,
    edit: (cycles: bigint) => bigint,
  ): Promise<Verdict> => {
    const machine = simulatedHost({ updateEveryCycles: 10_384_575n });
    const start: StartKept = async (context, wanted) => {
      const kept = await simulatedTimekeeper(machine, options)(context, wanted);
      return {
        ...kept,
        schedule: (change) =>
          kept.schedule(
            'cycles' in change.at ? { ...change, at: { cycles: edit(change.at.cycles) } } : change,
          ),
      };
    };
    return runCheck(machine, scheduleChecksWith(start)[0] as Check);
  };

  test('fails where the corner lies 1,000 cycles after its tick', async () => {
    const verdict = await scheduled({}, (cycles) => cycles + 1_000n);
    expect(verdict.status).toBe('fail');
    expect(verdict.reason).toMatch(/the corner lies \d+ cycles from the tick/);
  });

  test('fails where two-window readers are refused across the tick, though the writer came in time', async () => {
    let tick = 0n;
    const verdict = await scheduled(
      { refuses: (_read, cycles) => cycles >= tick && cycles < tick + 100_000n },
      (cycles) => {
        tick = cycles;
        return cycles;
      },
    );
    expect(verdict).toMatchObject({ status: 'fail', reason: expect.stringContaining('two-window') });
    expect(verdict.reason).toContain('refused across the tick');
  });

  test('fails where there is a corner of which nobody told', async () => {
    let reads = 0n;
    const verdict = await scheduled(
      {
        spoil: (ns) => {
          reads++;
          ns.monotonic += (reads * reads) / 1_000n;
        },
      },
      (cycles) => cycles,
    );
    expect(verdict).toMatchObject({ status: 'fail', reason: expect.stringContaining('another corner') });
  });
});

test('phases: twelve have each of four policies in each phase and with both signs', () => {
  const cases = smearCases(12);
  expect(new Set(cases.map(({ policy, phase }) => `${policy} ${phase}`)).size).toBe(12);
  expect(new Set(cases.map(({ policy, sign }) => `${policy} ${sign}`)).size).toBe(8);
  expect(new Set(smearCases(1_000).map((one) => JSON.stringify(one))).size).toBe(60);
});
