import type { Command } from 'commander';
import { LatchclockError } from '../errors.js';
import { machineFiles } from '../host/files.js';
import { type HostSummary, openMachine, orNull, summarizeHost } from '../host/host.js';
import { leapTableOf } from '../host/leap-table.js';
import type { FoundLeapTable } from '../leap/find.js';
import { smearAtText } from '../report/smear-at-text.js';
import { smearDiffText } from '../report/smear-diff-text.js';
import {
  smearAtJson,
  smearDiffJson,
  smearMatrixJson,
  smearPlanJson,
  smearUnsmearJson,
  smearWhichJson,
} from '../report/smear-json.js';
import { smearMatrixText } from '../report/smear-matrix-text.js';
import { smearPlanText } from '../report/smear-plan-text.js';
import { smearUnsmearText } from '../report/smear-unsmear-text.js';
import { smearWhichText } from '../report/smear-which-text.js';
import { textStyle } from '../report/text.js';
import { POLICY_FORMS, parsePolicy } from '../smear/custom-policy.js';
import { formatSeconds } from '../smear/decimal.js';
import { allDifferences, largestDifference } from '../smear/difference.js';
import { parseSmeared } from '../smear/instant.js';
import { nearestLeap } from '../smear/leap.js';
import { POLICIES } from '../smear/policy.js';
import { type Scene, type Suppositions, sceneAt, sceneOf } from '../smear/scene.js';
import { type Smear, smearOf, unsmear } from '../smear/smear.js';
import { identifyAll } from '../smear/which.js';
import { ExitCode } from './exit-code.js';
import { addHostNameOption, type HostNameOptions, nameHost } from './host-name.js';
import { readInputBytes } from './input.js';
import { writeAnswer } from './measured-run.js';
import type { Output } from './output.js';
import { observedClocks, parseError, SIGNS, sceneOfClocks, type WhichOptions } from './smear-which.js';
import { parseChoice } from './values.js';

const WRITTEN = ['text', 'json'] as const;
const DRAWN = ['text', 'json', 'svg'] as const;
type Written = (typeof WRITTEN)[number];
type Drawn = (typeof DRAWN)[number];
type Format = Written | Drawn;

interface SmearOptions extends HostNameOptions {
  format: string;
  output?: string;
  leap?: string;
  table?: string;
  uncheckedTable?: string;
  assumeNoLeaps?: boolean;
  policy?: string[];
}

type Stream = Output['stream'];

/** An answer in each of its formats, made when it is asked for. */
type Answer<F extends Format> = Readonly<Record<F, (stream: Stream) => string | Promise<string>>>;

const MOST_TABLE_BYTES = 1 << 20;

function leapTable({ table, uncheckedTable }: SmearOptions): FoundLeapTable {
  if (table !== undefined && uncheckedTable !== undefined) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', 'two tables are given', {
      where: '--table, --unchecked-table',
      todo: 'give one of them',
    });
  }
  const option = uncheckedTable === undefined ? '--table' : '--unchecked-table';
  // A table that an option names may come through a pipe.
  const read = (path: string): Uint8Array => readInputBytes(path, MOST_TABLE_BYTES, option);
  const path = uncheckedTable ?? table;
  return leapTableOf(path === undefined ? machineFiles : { ...machineFiles, read }, {
    path,
    isChecked: uncheckedTable === undefined,
  });
}

function suppositions({ leap, assumeNoLeaps = false }: SmearOptions): Suppositions {
  return { day: leap, noLeaps: assumeNoLeaps };
}

function sceneBy(options: SmearOptions): Scene {
  return sceneOf(leapTable(options), suppositions(options));
}

function smearBy({ timeline, leap }: Scene, name: string): Smear {
  return smearOf(parsePolicy(name), leap, timeline);
}

function smearsOf({ timeline, leap }: Scene, names: readonly string[] | undefined): Smear[] {
  const policies = names === undefined ? POLICIES : [...new Set(names)].map(parsePolicy);
  return policies.map((policy) => smearOf(policy, leap, timeline));
}

/** The host is no part of the answer: a machine that cannot be told of is no reason against one. */
function hostOrNull(options: HostNameOptions): HostSummary | null {
  return orNull(() => nameHost({ host: summarizeHost(openMachine()) }, options).host);
}

/** Plots take a quarter of a second to load. */
function svgReports(): Promise<typeof import('../report/smear-svg.js')> {
  return import('../report/smear-svg.js');
}

/** Writes what `ask` answers, whole or not at all. */
async function run<F extends Format>(
  options: SmearOptions,
  formats: readonly F[],
  ask: () => Answer<F>,
): Promise<void> {
  const format = parseChoice('--format', options.format, formats);
  const answer = ask();
  await writeAnswer(options.output, answer[format]);
}

function plan(options: SmearOptions): Answer<Drawn> {
  const scene = sceneBy(options);
  const smears = smearsOf(scene, options.policy);
  return {
    text: (stream) => smearPlanText(scene, smears, textStyle(stream)),
    json: () => smearPlanJson({ scene, host: hostOrNull(options) }, smears),
    svg: async () => (await svgReports()).smearPlanSvg(scene, smears),
  };
}

function at(instant: string, options: SmearOptions): Answer<Written> {
  const { scene, taiNs } = sceneAt(leapTable(options), instant, suppositions(options));
  const smears = smearsOf(scene, options.policy);
  return {
    text: (stream) => smearAtText(scene, taiNs, smears, textStyle(stream)),
    json: () => smearAtJson({ scene, host: hostOrNull(options) }, taiNs, smears),
  };
}

function diff(a: string, b: string, options: SmearOptions): Answer<Drawn> {
  const scene = sceneBy(options);
  const pair = [smearBy(scene, a), smearBy(scene, b)] as const;
  const difference = largestDifference(...pair);
  return {
    text: (stream) => smearDiffText(scene, pair, difference, textStyle(stream)),
    json: () => smearDiffJson({ scene, host: hostOrNull(options) }, pair, difference),
    svg: async () => (await svgReports()).smearDiffSvg(scene, pair, difference),
  };
}

function matrix(options: SmearOptions): Answer<Drawn> {
  const scene = sceneBy(options);
  const smears = smearsOf(scene, options.policy);
  const pairs = allDifferences(smears);
  return {
    text: (stream) => smearMatrixText(scene, smears, pairs, textStyle(stream)),
    json: () => smearMatrixJson({ scene, host: hostOrNull(options) }, smears, pairs),
    svg: async () => (await svgReports()).smearMatrixSvg(scene, smears, pairs),
  };
}

function unsmearTime(time: string, options: SmearOptions): Answer<Written> {
  const smearedNs = parseSmeared(time);
  const whole = sceneBy(options);
  // A smeared time is about a minute from TAI: near enough to find the leap second that it is next to.
  const leap = options.leap === undefined ? nearestLeap(whole.timeline, smearedNs) : undefined;
  const scene = leap === undefined ? whole : { ...whole, leap };
  const all = smearsOf(scene, options.policy).map((smear) => ({
    smear,
    instantsNs: unsmear(smear, smearedNs),
  }));
  return {
    text: (stream) => smearUnsmearText(scene, smearedNs, all, textStyle(stream)),
    json: () => smearUnsmearJson({ scene, host: hostOrNull(options) }, smearedNs, all),
  };
}

async function which(texts: readonly string[], options: SmearOptions & WhichOptions): Promise<ExitCode> {
  let isFound = false;
  await run(options, WRITTEN, () => {
    const sigmaNs = parseError(options.error);
    const told = sceneBy(options);
    const clocks = observedClocks(texts, told, smearBy(told, options.against), options);
    const isAsked = options.leap !== undefined || texts.some((text) => text.startsWith('L'));
    const scene = sceneOfClocks(told, clocks, isAsked);
    const smears = smearsOf(scene, options.policy);
    const against = smearBy(scene, options.against);
    const answer = identifyAll(smears, against, clocks, sigmaNs);
    isFound =
      answer.clocks.every(({ found }) => found.verdict === 'found') && answer.disagreements.length === 0;
    const question = { smears, against, sigmaNs };
    return {
      text: (stream) => smearWhichText(scene, question, answer, textStyle(stream)),
      json: () => smearWhichJson({ scene, host: hostOrNull(options) }, question, answer),
    };
  });
  return isFound ? ExitCode.held : ExitCode.failed;
}

const INSTANT_HELP = `
INSTANT: tai:SECONDS[.FRACTION] since 1970, a UTC time such as
2016-12-31T23:59:60Z, unix:SECONDS[.FRACTION], mjd:DAYS[.FRACTION], now, or
L+SECONDS and L-SECONDS.
L is the leap second of --leap, by default the table's last: the start of
23:59:60, or, negative, of 00:00:00.`;

const WHICH_HELP = `
Signs: an offset of ntpq is positive where the server is ahead of this host (the
offset that ntpd would correct this host by); so are those of ntpd's statistics
and of chrony's measurements.log. One of chronyc is positive where this host is
ahead of the server ("fast"); so are those of chrony's tracking.log.

Files: chronyc -c sources, chronyc -c sourcestats, measurements.log,
tracking.log, rawstats, peerstats, ntpq -p, and plain: INSTANT OFFSET [SERVER].
The format is told from the first line, and its sign is known. A snapshot of
chronyc or ntpq needs --at, or a line with the instant before it (date +%s).
An INSTANT of 9 to 11 bare digits is unix:SECONDS here.
This host must not follow the servers meanwhile (chronyd -x, or noselect).`;

const POLICY_HELP = `
Policies: ${POLICY_FORMS.slice(0, 6).join(', ')},
  ${POLICY_FORMS.slice(6, 12).join(', ')},
  ${POLICY_FORMS.slice(12, 16).join(', ')},
  ${POLICY_FORMS.slice(16, 18).join(', ')},
  ${POLICY_FORMS.slice(18).join(', ')}
START, END: seconds from L. docs/smears.md tells where each policy is from.`;

const EXAMPLES = `
Examples:
  latchclock smear plan
  latchclock smear at L+1000 --policy google-24h --policy chrony
  latchclock smear diff google-24h chrony --leap -2030-12-31
  latchclock smear matrix --format svg -o matrix.svg
  latchclock smear unsmear 2016-12-31T18:00:00Z --policy google-24h
  latchclock smear which L-500=-0.494 L+20000=0.268`;

const DEFAULT_ERROR_NS = 10_000_000n;

function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

/** Adds the command `smear`; `finish` takes its exit code. */
export function addSmear(program: Command, finish: (code: ExitCode) => void): void {
  const smear = program
    .command('smear')
    .description('tell what leap smears do to clocks, exactly')
    .addHelpText('after', `${POLICY_HELP}\n${EXAMPLES}`);
  const subcommand = (
    usage: string,
    description: string,
    formats: readonly Format[],
    example: string,
  ): Command =>
    addHostNameOption(smear.command(usage))
      .description(description)
      .option('--leap <date>', 'the day that the leap second ends, as 2016-12-31; -DATE for a negative one')
      .option(
        '--table <file>',
        "this table of leap seconds: a leap-seconds.list, tzdata's leapseconds or right/UTC, or Leap_Second.dat",
      )
      .option('--unchecked-table <file>', 'the same, but its hash may be missing or wrong')
      .option('--assume-no-leaps', 'answer past the expiry of the table as if no leap second came')
      .option('--format <format>', `one of ${formats.join(', ')}`, 'text')
      .option('-o, --output <file>', 'write the answer there instead of to standard output')
      .addHelpText('after', `\nExamples:\n  latchclock smear ${example}`);
  const withPolicies = (command: Command): Command =>
    command
      .option('--policy <name>', 'this policy; may be given again (default: all that have a name)', collect)
      .addHelpText('after', POLICY_HELP);

  withPolicies(
    subcommand('plan', 'what each policy does around a leap second', DRAWN, 'plan --leap -2030-12-31'),
  ).action(async (options: SmearOptions) => {
    await run(options, DRAWN, () => plan(options));
  });

  withPolicies(
    subcommand('at', 'one instant through every policy', WRITTEN, 'at 2016-12-31T23:59:60.5Z --policy meta'),
  )
    .argument('<instant>', 'which instant')
    .addHelpText('after', INSTANT_HELP)
    .action(async (instant: string, options: SmearOptions) => {
      await run(options, WRITTEN, () => at(instant, options));
    });

  subcommand('diff', 'how far apart two policies are, and where', DRAWN, 'diff meta chrony')
    .argument('<a>', 'a policy')
    .argument('<b>', 'another')
    .addHelpText('after', POLICY_HELP)
    .action(async (a: string, b: string, options: SmearOptions) => {
      await run(options, DRAWN, () => diff(a, b, options));
    });

  withPolicies(
    subcommand('matrix', 'how far apart all policies are from all', DRAWN, 'matrix --leap -2030-12-31'),
  ).action(async (options: SmearOptions) => {
    await run(options, DRAWN, () => matrix(options));
  });

  withPolicies(
    subcommand(
      'unsmear',
      'when a smeared clock shows a time, in UTC and TAI',
      WRITTEN,
      'unsmear 2016-12-31T18:00:00Z --policy google-24h',
    ),
  )
    .argument('<time>', 'what the clock shows, as 2016-12-31T18:00:00Z or unix:SECONDS[.FRACTION]')
    .action(async (time: string, options: SmearOptions) => {
      await run(options, WRITTEN, () => unsmearTime(time, options));
    });

  withPolicies(
    subcommand(
      'which',
      'which policy a clock follows, by what it was seen to be off',
      WRITTEN,
      `which L-500=-0.494 L+20000=0.268 --error 0.002
  latchclock smear which L-500=494ms L+20000=-268ms --sign chronyc
  latchclock smear which --from /var/log/chrony/measurements.log
  chronyc -c sources | latchclock smear which --from - --at now`,
    ),
  )
    .argument(
      '[instant=offset...]',
      'when, and what the server was ahead of this host: seconds, or with a unit (268ms); or the refid 254.X.Y.Z that an ntpd sends',
    )
    .option(
      '--from <file>',
      'observations that a program wrote; - is standard input; may be given again',
      collect,
    )
    .option('--from-format <name>', 'its format, if it is not to be told from the first line')
    .option(
      '--sign <tool>',
      `whose sign the offsets have: ${SIGNS.join(' or ')} (default: ntpq, and of a file that of its format)`,
    )
    .option('--at <instant>', 'when a snapshot (chronyc, ntpq) was taken')
    .option('--error <seconds>', 'standard deviation of an observation', formatSeconds(DEFAULT_ERROR_NS))
    .option('--against <policy>', 'the policy of the clock that it was measured against', 'step')
    .addHelpText('after', WHICH_HELP)
    .addHelpText('after', INSTANT_HELP)
    .addHelpText(
      'after',
      '\nExit: 0 found, for every server, and none disagree; 1 none of the policies,\nundecided or in disagreement; 2 wrong usage.',
    )
    .action(async (texts: string[], options: SmearOptions & WhichOptions) =>
      finish(await which(texts, options)),
    );
}
