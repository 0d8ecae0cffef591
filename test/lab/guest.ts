import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { LATCHCLOCK } from './image.ts';
import {
  BOOT_LIMIT_MS,
  type Boot,
  type CommandResult,
  END_LIMIT_MS,
  Machine,
  SILENCE_MS,
} from './machine.ts';
import type { Noted, Observation } from './observation.ts';
import { differences, type Said, type Verdicts } from './verdicts.ts';

/** Limits of commands in seconds: some ten times what short ones take here, and five times what long ones do. */
const QUICK_SEC = 30;
const RUN_SEC = 300;
const SETTLE_LIMIT_MS = 40_000;
/** Of the tests and their surroundings: beyond the machine's own limits, which say more of what went wrong. */
const ASKED_MS = 1000 * QUICK_SEC + SILENCE_MS;
const BEFORE_LIMIT_MS = BOOT_LIMIT_MS + SETTLE_LIMIT_MS + 3 * ASKED_MS;
const AFTER_LIMIT_MS = 2 * END_LIMIT_MS;
const TEST_LIMIT_MS = 2 * (1000 * RUN_SEC + SILENCE_MS) + ASKED_MS;

/** Of a kernel: `[6, 12]`. */
export type Version = readonly [number, number];

/** How a variation boots: `clocksource` is what the kernel must end up with. */
export type Variation = Pick<Boot, 'cpus' | 'atOnce' | 'parameters'> & {
  clocksource: (version: Version) => string;
};

/** A booted guest, as the tests of one variation see it. */
export class Guest {
  readonly version: Version;
  readonly #machine: Machine;
  readonly #observation: Observation;

  constructor(machine: Machine, version: Version, observation: Observation) {
    this.#machine = machine;
    this.version = version;
    this.#observation = observation;
  }

  /** Runs the command line, behind `within` (a program that starts others), which is none at first. */
  latchclock(arguments_: readonly string[], within: readonly string[] = []): Promise<CommandResult> {
    return this.#machine.run([...within, ...LATCHCLOCK, ...arguments_], RUN_SEC);
  }

  clocksource(): Promise<string> {
    return clocksourceOf(this.#machine);
  }

  /**
   * Runs `validate --quick`, holds each verdict to what may be, and notes them for the table under `column`.
   * Gives the report, as JSON.
   */
  async validate(column: string, expected: Verdicts, { only, within }: Selection): Promise<Report> {
    const select = only === undefined ? [] : ['--only', only];
    const ran = await this.latchclock(['validate', '--quick', '--format', 'json', ...select], within);
    const report = parsed<Report>(ran);
    this.#observation.clocksource[column] = report.host.clocksource.current ?? 'not told';
    this.#observation.verdicts[column] = Object.fromEntries(
      report.checks.map(({ id, status }) => [id, status]),
    );
    expect(differences(report.checks, expected)).toEqual([]);
    // The exit code says what the worst verdict is: of the host first, then of the self-test.
    const { host, self } = report.summary;
    expect(ran.code).toBe(host.fail > 0 ? 1 : self.fail > 0 ? 4 : 0);
    expect(report.host.kernel).toMatch(new RegExp(`^${this.version.join('\\.')}\\.`));
    return report;
  }

  /** Notes how a command ended, for the table. */
  note(column: string, command: Noted, { code }: CommandResult): void {
    this.#observation.exits[column] = { ...this.#observation.exits[column], [command]: code };
  }
}

/** What of `validate` is run, and behind which program. */
export interface Selection {
  only?: string;
  within?: readonly string[];
}

/** Of the JSON of `validate`, what is looked at. */
export interface Report {
  host: {
    kernel: string;
    clocksource: { current: string | null };
    timeNamespace: boolean;
    privileged: boolean;
  };
  summary: Record<'host' | 'self', { fail: number }>;
  checks: (Said & { advice: string | null; evidence: Record<string, unknown> })[];
}

/** One check of a report. */
export function check(report: Report, id: string): Report['checks'][number] {
  const found = report.checks.find((one) => one.id === id);
  if (found === undefined) throw new Error(`no check ${id}`);
  return found;
}

/** The JSON that a command printed; an error with all that it said if it did not. */
export function parsed<Document>({ how, code, out, err }: CommandResult): Document {
  try {
    return JSON.parse(out) as Document;
  } catch {
    throw new Error(`${how} ${code}, and no JSON: ${out.slice(0, 500)}\n${err}`);
  }
}

/** Boots each of the lab's kernels in a variation, for the tests that `tests` registers; ends it after them. */
export function inEachKernel(name: string, variation: Variation, tests: (guest: () => Guest) => void): void {
  const lab = inject('lab');
  describe.each(lab.kernels)(`$name, ${name}`, (kernel) => {
    let machine: Machine | undefined;
    let guest: Guest | undefined;
    const observation: Observation = {
      kernel: kernel.name,
      release: '',
      clocksource: {},
      verdicts: {},
      exits: {},
    };

    beforeAll(async () => {
      const console = join(lab.consoles, `${kernel.name}-${name}.log`);
      const { clocksource, ...boot } = variation;
      machine = await Machine.boot({ ...boot, kernel: kernel.image, initramfs: lab.initramfs, console });
      observation.release = await readFile(machine, '/proc/sys/kernel/osrelease');
      const version = versionOf(observation.release);
      await settled(machine, clocksource(version));
      guest = new Guest(machine, version, observation);
    }, BEFORE_LIMIT_MS);

    afterAll(async () => {
      writeFileSync(join(lab.results, `${kernel.name}-${name}.json`), JSON.stringify(observation));
      await machine?.end();
    }, AFTER_LIMIT_MS);

    tests(() => {
      if (guest === undefined) throw new Error('the guest did not boot');
      return guest;
    });
  });
}

/** Whether a kernel is of a version or later. */
export function atLeast(version: Version, [major, minor]: Version): boolean {
  return version[0] > major || (version[0] === major && version[1] >= minor);
}

/** A test with a guest's time. */
export function slowTest(claim: string, body: () => Promise<void>): void {
  test(claim, body, TEST_LIMIT_MS);
}

function clocksourceOf(machine: Machine): Promise<string> {
  return readFile(machine, '/sys/devices/system/clocksource/clocksource0/current_clocksource');
}

async function readFile(machine: Machine, path: string): Promise<string> {
  const { out, err } = await machine.run(['cat', path], QUICK_SEC);
  expect(err).toBe('');
  return out.trim();
}

function versionOf(release: string): Version {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return [Number(major), Number(minor)];
}

/** Waits until a clocksource is the current one: kernels try `tsc-early` first, and refine the TSC for a second. */
async function settled(machine: Machine, expected: string): Promise<void> {
  const deadline = performance.now() + SETTLE_LIMIT_MS;
  for (;;) {
    const current = await clocksourceOf(machine);
    if (current === expected || performance.now() > deadline) {
      expect(current).toBe(expected);
      return;
    }
    await sleep(200);
  }
}
