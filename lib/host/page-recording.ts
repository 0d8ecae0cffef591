import type { PageRecorder } from '../native/addon.js';
import { layoutBytes } from '../page/kernel-layout.js';
import { decodeKernelPage, type KernelPageSnapshot } from '../page/kernel-page.js';
import type { Host } from './host.js';
import { pageClock } from './kernel-page.js';

/** A state of the kernel's page as the recorder saw it. */
export interface RecordedPage {
  snapshot: KernelPageSnapshot;
  /** Counter before and after the copy, cycles: the state was published before `after`. */
  before: bigint;
  after: bigint;
}

const WORD_BYTES = 8;
const HEAD_BYTES = 2 * WORD_BYTES;
// Eight times the fastest tick that Linux has (1000 Hz).
const MOST_STATES_A_SECOND = 8_000;
const MOST_STATES = 300_000;

/** A recording under way, in a thread of its own that keeps a CPU busy. */
export interface PageRecording {
  /** States kept so far. */
  captured(): number;
  /** Ends the recording: the states in their order. */
  stop(): RecordedPage[];
}

/**
 * Starts to record the kernel's page.
 *
 * @param hz the counter's frequency, Hz
 * @param seconds how long it records at most; it may be stopped before
 * @param statesASecond for so many there is room (up to 300,000 in all): it ends when that is used up
 * @throws LatchclockError if the page is not known, or a thread cannot be started
 */
export function startRecording(
  host: Host,
  hz: number,
  seconds: number,
  statesASecond = MOST_STATES_A_SECOND,
): PageRecording {
  const proved = host.page();
  const { layout, namespaceNs } = proved;
  const bytes = Math.ceil(layoutBytes(layout) / WORD_BYTES) * WORD_BYTES;
  const capacity = Math.min(MOST_STATES, Math.ceil(seconds * statesASecond));
  const recorder: PageRecorder = new host.addon.PageRecorder(
    pageClock(proved, 'monotonic'),
    bytes,
    capacity,
    Math.ceil(seconds * hz),
  );
  return {
    captured: () => recorder.captured(),
    stop: () => {
      const rows = recorder.stop();
      const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
      const rowBytes = HEAD_BYTES + bytes;
      return Array.from({ length: rows.length / rowBytes }, (_, index) => {
        const at = index * rowBytes;
        return {
          before: view.getBigUint64(at, true),
          after: view.getBigUint64(at + WORD_BYTES, true),
          snapshot: decodeKernelPage(rows.subarray(at + HEAD_BYTES, at + rowBytes), layout, namespaceNs),
        };
      });
    },
  };
}
