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

const { compute, store } = itemsOf<WriterRegister>();

/**
 * An update of a `latch` or `latch-window` page: writes the copy that readers are not sent to, then sends them there.
 * Takes over from a writer that died anywhere in one.
 */
export function latchWriter(options: WriterOptions): WriterProgram {
  return assembleWriter('latch writer', [
    ...readForImage(options),
    ...loadFound(),
    fence('release', 'the last flip is seen before a store into the copy'),
    ...storeCopy(options, ({ found }) => ((found & 1n) === 0n ? 1 : 0)),
    compute('choose the count', ({ found }) => ({ count: wrapU64(found + 1n) })),
    store('flip the count', CLOCK_PAGE_OFFSETS.count, ({ count }) => count, 'release'),
  ]);
}
