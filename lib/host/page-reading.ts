import { anObject, oneOf, optional } from '../arguments.js';
import { LatchclockError } from '../errors.js';
import {
  OutOfWindowPolicy,
  type OutOfWindowPolicyName,
  ReaderProtocol,
  type ReaderProtocolName,
} from '../native/addon.js';
import { didYouMean } from '../nearest.js';
import type { ClockPageHeader } from '../page/clock-page.js';

/** How to read a page, whatever is read of it. */
export interface PageReadingOptions {
  /** Default: the one with a window that the page's writer publishes for, `seqlock` where it has none. */
  protocol?: Extract<ReaderProtocolName, 'seqlock' | 'latch' | 'latch-window' | 'two-window'>;
  /** Default `wide`; `narrow` where the page says that its writer keeps the bound. */
  arithmetic?: 'narrow' | 'wide';
}

/** What options of reading have to be, whichever page they are for. */
export const someReadingOptions = anObject({
  protocol: optional(oneOf(Object.keys(ReaderProtocol))),
  arithmetic: optional(oneOf(['narrow', 'wide'])),
  outOfWindow: optional(oneOf(Object.keys(OutOfWindowPolicy))),
});

/** How a page is read, its defaults filled in and held against the page. */
export interface PageReading {
  readonly protocol: ReaderProtocolName;
  readonly wide: boolean;
  /** Whether the page has a generation of its own, by which migration is detected. */
  readonly generation: boolean;
}

const READERS: Readonly<Record<ClockPageHeader['protocol'], readonly ReaderProtocolName[]>> = {
  seqlock: ['seqlock'],
  latch: ['latch-window', 'latch'],
  'two-window': ['two-window'],
};

/** What a caller got wrong; `where` is the function that was called. */
export function badReading(where: string, what: string, todo: string): LatchclockError {
  return new LatchclockError('ERR_BAD_ARGUMENT', what, { where, todo });
}

/**
 * The policy asked for, `error` by default.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if it is none of `known`
 */
export function policyOf(
  policy: OutOfWindowPolicyName | undefined,
  where: string,
  known: readonly OutOfWindowPolicyName[] = Object.keys(OutOfWindowPolicy) as OutOfWindowPolicyName[],
): OutOfWindowPolicyName {
  const chosen = policy ?? 'error';
  if (known.includes(chosen)) return chosen;
  throw badReading(
    where,
    `there is no policy '${chosen}'`,
    `${didYouMean(chosen, known)}choose from ${known.join(', ')}`,
  );
}

/**
 * How a page of this header is read with these options.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` for a protocol that is not its writer's, or narrow arithmetic on a page that
 *   does not keep its bound; `ERR_BAD_PAGE` for a counter or a generation elsewhere, which no reader here can take
 */
export function pageReading(
  header: ClockPageHeader,
  options: PageReadingOptions,
  where: string,
): PageReading {
  const fitting = READERS[header.protocol];
  const protocol = options.protocol ?? fitting[0];
  if (protocol === undefined || !fitting.includes(protocol)) {
    throw badReading(
      where,
      `the page is written for ${header.protocol}, and cannot be read by ${protocol}`,
      `choose from ${fitting.join(', ')}`,
    );
  }
  const wide = (options.arithmetic ?? 'wide') === 'wide';
  if (!wide && header.arithmetic !== 'narrow') {
    throw badReading(
      where,
      "the page's writer does not keep the bound of narrow arithmetic",
      'read it with wide arithmetic',
    );
  }
  if (header.counter !== 'tsc' || header.generationSource === 'vmclock') {
    throw new LatchclockError(
      'ERR_BAD_PAGE',
      'the page counts by, or is tagged with, what is not in this page',
      {
        where: `counter ${header.counter}, generation source ${header.generationSource}`,
        todo: 'read a page of the time-stamp counter whose generation lies in it, or that has none',
      },
    );
  }
  return { protocol, wide, generation: header.generationSource === 'page' };
}
