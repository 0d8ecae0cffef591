import { wrapU64 } from '../../units.js';
import { CLOCK_PAGE_OFFSETS } from '../clock-page.js';
import { fence, itemsOf } from './items.js';
import {
  assembleWriter,
  loadFound,
  readForImage,
  storeCopy,
  type WriterOptions,
  type WriterProgram,
  type WriterRegister,
} from './writing.js';

export interface SeqlockWriterOptions extends WriterOptions {
  /**
   * Where the counter is read: `inside` the write section, as our writer does, so that no reader has a counter at or
   * past the new base with the old copy; or `before` it, as Linux does.
   */
  readonly counterRead?: 'inside' | 'before';
  /**
   * What orders the odd count before all that follows. `full` by default; `release` orders it before the stores, but
   * not before a reading of the counter.
   */
  readonly fence?: 'full' | 'release';
}

const { compute, store } = itemsOf<WriterRegister>();

/** An update of a `seqlock` page. Takes over from a writer that died anywhere in one. */
export function seqlockWriter(options: SeqlockWriterOptions): WriterProgram {
  const before = options.counterRead === 'before';
  return assembleWriter('seqlock writer', [
    ...(before ? readForImage(options) : []),
    ...loadFound(),
    // Two further than a dead writer's odd count: a reader that saw that one does not take ours for it.
    compute('choose the odd count', ({ found }) => ({
      count: wrapU64(found + ((found & 1n) === 0n ? 1n : 2n)),
    })),
    store('store the odd count', CLOCK_PAGE_OFFSETS.count, ({ count }) => count),
    fence(options.fence ?? 'full', 'the odd count is seen before what follows'),
    ...(before ? [] : readForImage(options)),
    ...storeCopy(options, () => 0),
    compute('choose the even count', ({ count }) => ({ count: wrapU64(count + 1n) })),
    store('store the even count', CLOCK_PAGE_OFFSETS.count, ({ count }) => count, 'release'),
  ]);
}
