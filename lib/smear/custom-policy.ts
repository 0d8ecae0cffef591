import { aText, checkArgument } from '../arguments.js';
import { LatchclockError } from '../errors.js';
import { didYouMean, nearest as nearestName } from '../nearest.js';
import { NS_PER_SEC } from '../units.js';
import { parseSeconds } from './decimal.js';
import { ntpd, ntpsec, POLICIES, POLICY_ALIASES, type SmearPolicy, type Window } from './policy.js';
import { compare, divide, multiply, nearest, rational, squareRoot } from './rational.js';

/** Longer windows than a year make no sense, and would only overlap. */
const LONGEST_NS = 31_622_400n * NS_PER_SEC;
const LONGEST_SECONDS = Number(LONGEST_NS / NS_PER_SEC);

function bad(text: string, what: string, todo: string): LatchclockError {
  return new LatchclockError('ERR_BAD_ARGUMENT', what, { where: `policy ${text}`, todo });
}

/** What a policy may be called, for messages and help. */
export const POLICY_FORMS = [
  ...POLICIES.map(({ name }) => name),
  ...Object.keys(POLICY_ALIASES),
  'ntpd:SECONDS',
  'ntpsec:SECONDS',
  'linear:START..END',
  'cosine:START..END',
  'quadratic:START..END[,RAMP]',
  'smoothtime:PPM,PPM/S',
  'smoothtime PPM PPM/S leaponly',
] as const;

function interval(text: string, digits: string): number {
  const seconds = Number(digits);
  if (!/^\d{1,8}$/.test(digits) || seconds < 1 || seconds > LONGEST_SECONDS) {
    throw bad(text, `'${digits}' is no interval`, `give whole seconds from 1 to ${LONGEST_SECONDS}`);
  }
  return seconds;
}

function edge(text: string, digits: string): bigint {
  const ns = parseSeconds(digits);
  if (ns === null || ns > LONGEST_NS || ns < -LONGEST_NS) {
    throw bad(
      text,
      `'${digits}' is no time around the leap`,
      `give seconds within ±${LONGEST_SECONDS}, with up to 9 digits after the point`,
    );
  }
  return ns;
}

function shaped(text: string, shape: 'linear' | 'cosine' | 'quadratic', arguments_: string): SmearPolicy {
  const match = /^([^.,]*(?:\.\d+)?)\.\.([^,]*)(?:,(.*))?$/.exec(arguments_);
  if (match === null) throw bad(text, 'the window is missing', `give ${shape}:START..END, in seconds`);
  const [, start = '', end = '', ramp] = match;
  const window: Window = { startNs: edge(text, start), endNs: edge(text, end) };
  if (ramp !== undefined && shape !== 'quadratic') {
    throw bad(text, `a ${shape} shape has no ramp`, `give ${shape}:START..END`);
  }
  const rampNs = ramp === undefined ? {} : { rampNs: edge(text, ramp) };
  const summary = `${shape}, from L${signed(start)} to L${signed(end)}`;
  return { name: text, summary, shape, positive: window, negative: window, ...rampNs };
}

function signed(digits: string): string {
  return /^[+-]/.test(digits) ? digits : `+${digits}`;
}

const PER_PPM = 1_000_000n;

/**
 * The window of chrony's `smoothtime MAX-FREQ MAX-WANDER` for one second: up to the largest frequency at the largest
 * wander, along it, and down. Where the frequency is not reached, the ramps meet in the middle. Their lengths are
 * rounded to whole ns, and the wander with them: that moves the offset by less than 3 ns times the largest rate.
 */
function smoothtime(text: string, arguments_: string): SmearPolicy {
  const [frequency, wander, ...rest] = arguments_
    .split(',')
    .map((digits) => (/^[\d.]/.test(digits) ? parseSeconds(digits) : null));
  if (frequency == null || wander == null || rest.length > 0 || frequency <= 0n || wander <= 0n) {
    throw bad(
      text,
      'these are no frequency and wander',
      'give smoothtime:PPM,PPM/S, such as smoothtime:400,0.001',
    );
  }
  // Both are held in billionths of their unit.
  const scale = NS_PER_SEC * PER_PPM;
  const rate = rational(frequency, scale);
  const acceleration = rational(wander, scale * NS_PER_SEC);
  const leap = rational(NS_PER_SEC);
  // Ramps alone lose rate^2 / acceleration, ns.
  const areReached = compare(divide(multiply(rate, rate), acceleration), leap) < 0;
  const rampNs = areReached ? nearest(divide(rate, acceleration)) : squareRoot(divide(leap, acceleration));
  // Under the plateau lie window - ramp.
  const windowNs = areReached ? nearest(divide(leap, rate)) + rampNs : 2n * rampNs;
  if (rampNs < 1n || windowNs > LONGEST_NS) {
    throw bad(
      text,
      'this frequency and wander spread a second over nothing or over more than a year',
      'give others',
    );
  }
  const window: Window = { startNs: 0n, endNs: windowNs };
  return {
    name: text,
    summary: `quadratic, chrony's smoothtime ${arguments_.replace(',', ' ')}`,
    shape: 'quadratic',
    positive: window,
    negative: window,
    rampNs,
  };
}

/** What a text that is no policy was meant to be, for the head of a remedy: a name, or a form with its own arguments. */
function meantPolicy(text: string): string {
  const [, word = '', rest] = /^([^:]*)(:.*)?$/s.exec(text) ?? [];
  if (rest === undefined) {
    return didYouMean(text, [...POLICIES.map(({ name }) => name), ...Object.keys(POLICY_ALIASES)]);
  }
  const forms = POLICY_FORMS.flatMap((form) => form.match(/^[a-z]+(?=:)/)?.[0] ?? []);
  const form = nearestName(word, forms);
  return form === null ? '' : `did you mean '${form}${rest}'? `;
}

/**
 * The policy of a name of {@link POLICIES} or {@link POLICY_ALIASES}, or of a form of {@link POLICY_FORMS}: times are
 * seconds from the leap (see {@link Leap.taiNs}), for either sign. It is called as it was asked for. `smoothtime` may be
 * chrony's directive as its configuration has it: without `leaponly` it smooths other corrections as well, and leap seconds
 * alike.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT`
 */
export function parsePolicy(text: string): SmearPolicy {
  checkArgument('parsePolicy', 'the policy', text, aText);
  const aliasOf = Object.hasOwn(POLICY_ALIASES, text) ? POLICY_ALIASES[text] : undefined;
  const known = POLICIES.find(({ name }) => name === (aliasOf ?? text));
  if (known !== undefined) return { ...known, name: text, ...(aliasOf === undefined ? {} : { aliasOf }) };
  const directive = /^\s*smoothtime\s+(\S+)\s+(\S+)(?:\s+leaponly)?\s*$/i.exec(text);
  if (directive !== null) return smoothtime(text.trim(), `${directive[1]},${directive[2]}`);
  const [, form, arguments_ = ''] = /^([a-z]+):(.*)$/.exec(text) ?? [];
  switch (form) {
    case 'ntpd':
      return ntpd(text, interval(text, arguments_));
    case 'ntpsec':
      return ntpsec(text, interval(text, arguments_));
    case 'linear':
    case 'cosine':
    case 'quadratic':
      return shaped(text, form, arguments_);
    case 'smoothtime':
      return smoothtime(text, arguments_);
    default:
      throw new LatchclockError('ERR_BAD_ARGUMENT', `no policy '${text}'`, {
        where: 'policy',
        todo: `${meantPolicy(text)}choose from ${POLICY_FORMS.join(', ')}`,
      });
  }
}
