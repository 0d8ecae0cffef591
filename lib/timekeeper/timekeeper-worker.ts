import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { isLatchclockError } from '../errors.js';
import { openPageDescriptor, openPageFile, type WritableClockPage } from '../host/clock-page-memory.js';
import { openMachine } from '../host/host.js';
import type { Addon } from '../native/addon.js';
import { nsAt } from './line.js';
import { openSource } from './open-source.js';
import { withGenerationOf } from './page-generation.js';
import { lockPage, type PageLock, type PagePlace } from './page-lock.js';
import { Run } from './run.js';
import type { TimeSource } from './source.js';
import { type News, type NumberedOrder, type Order, plainError, type ThreadData } from './thread-messages.js';
import { checkNamespaceAt } from './time-namespace.js';
import type { View } from './view.js';

/**
 * The thread of a timekeeper. It never comes back to its event loop: between two updates it sleeps on a word that whoever
 * posts to it counts up, and fetches what was posted by itself.
 */

const port = parentPort as MessagePort;
const data = workerData as ThreadData;

function tell(news: News): void {
  port.postMessage(news);
}

function map(addon: Addon, place: PagePlace): WritableClockPage {
  return 'path' in place
    ? openPageFile(addon, place.path, { writable: true })
    : openPageDescriptor(addon, place.fileDescriptor, { writable: true });
}

/** Refuses namespaces that the source's clocks do not allow now. */
function checkNamespaces(source: TimeSource, views: readonly View[]): void {
  const { monotonic, cycles, boottimeOffsetNs } = source.sample();
  const monotonicNs = nsAt(monotonic, cycles);
  for (const { namespace } of views) {
    checkNamespaceAt(namespace, { monotonicNs, boottimeNs: monotonicNs + boottimeOffsetNs });
  }
}

/** Begins to publish on pages of which nobody else is the writer. */
function start(locks: PageLock[]): Run {
  const host = openMachine();
  const { addon } = host;
  // All of them, before one is written.
  for (const { place } of data.pages) locks.push(lockPage(addon, place));
  const pages = data.pages.map(({ place, view }) => ({ page: map(addon, place), view }));
  const opened = openSource(host, data.source, data.sourceOptions);
  const tagged = pages.find(({ page }) => page.header.generationSource === 'page');
  const source = tagged === undefined ? opened : withGenerationOf(tagged.page, opened);
  checkNamespaces(
    source,
    data.pages.map(({ view }) => view),
  );
  const { timeline, policy, changes, updateMs, windowMs } = data;
  const run = new Run({
    addon,
    source,
    pages,
    timeline,
    policy,
    changes,
    ...(updateMs === undefined ? {} : { updateMs }),
    ...(windowMs === undefined ? {} : { windowMs }),
    onEvent: (event) => tell({ kind: 'event', event }),
  });
  tell({ kind: 'started', source: opened.name, warnings: opened.warnings });
  return run;
}

/** Does what was asked for, but for stopping. */
function obey(run: Run, order: Exclude<Order, { kind: 'stop' }>): ReturnType<Run['status']> | null {
  switch (order.kind) {
    case 'schedule':
      run.schedule(order.change);
      return null;
    case 'preference':
      run.setPreference(order.page, order.preference);
      return null;
    case 'status':
      return run.status();
  }
}

/** Answers all that was posted. True if the thread is to stop. */
function answer(run: Run): boolean {
  for (let got = receiveMessageOnPort(port); got !== undefined; got = receiveMessageOnPort(port)) {
    const { number, order } = got.message as NumberedOrder;
    if (order.kind === 'stop') return true;
    try {
      tell({ kind: 'answer', number, status: obey(run, order) });
    } catch (error) {
      if (!isLatchclockError(error)) throw error;
      tell({ kind: 'refusal', number, error: plainError(error) });
    }
  }
  return false;
}

/** Keeps time until it is asked to stop. */
function keep(run: Run): void {
  for (;;) {
    // Loaded before the messages are: one that comes after them ends the sleep at once.
    const posted = Atomics.load(data.wake, 0);
    if (answer(run)) break;
    // Asked anew at each wake, whether it was time or an order that ended the sleep: the counter may have moved.
    const sleepMs = run.msUntilDue();
    if (sleepMs > 0) Atomics.wait(data.wake, 0, posted, sleepMs);
    else run.step();
  }
  run.stop();
}

const locks: PageLock[] = [];
try {
  keep(start(locks));
  tell({ kind: 'stopped' });
} catch (error) {
  if (!isLatchclockError(error)) throw error;
  tell({ kind: 'failed', error: plainError(error) });
} finally {
  for (const lock of locks) lock.release();
}
