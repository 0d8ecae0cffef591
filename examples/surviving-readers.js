// Readers, each a process, of a page whose writer is killed and started again.
//
//   node examples/surviving-readers.js
//
// Ends by itself, with 1 if a reader saw a clock go back, a value outside its bound, or a refusal without a reason.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClockPage, openClock, Timekeeper } from 'latchclock';

/** For so long readers go on without a writer. */
const WINDOW_MS = 1000;
const READERS = 2;

/** A writer: takes the page over, whoever had it before, and keeps it until it is killed. */
async function write(path) {
  await Timekeeper.start({ page: path, windowMs: WINDOW_MS });
  process.send('writing');
}

/** A reader: reads for as long as it is let, and tells what it saw. */
async function read(path) {
  const page = ClockPage.open(path);
  const kernel = openClock('monotonic');
  const seen = { values: 0, refusals: {}, longestGapMs: 0, back: 0, outside: 0 };
  let last = 0n;
  let lastAt = kernel.now();
  let isOver = false;
  process.once('message', () => {
    isOver = true;
  });
  process.send('reading');
  while (!isOver) {
    const before = kernel.now();
    try {
      const { ns, boundNs } = page.readAll();
      const after = kernel.now();
      const value = ns.monotonic;
      if (value < last) seen.back++;
      // A writer that states no bound promises nothing.
      if (boundNs === null || value < before - boundNs || value > after + boundNs) seen.outside++;
      seen.values++;
      seen.longestGapMs = Math.max(seen.longestGapMs, Number(after - lastAt) / 1e6);
      last = value;
      lastAt = after;
    } catch (error) {
      seen.refusals[error.code ?? error.message] = (seen.refusals[error.code ?? error.message] ?? 0) + 1;
    }
    // Leave the CPU to the others.
    await sleep(1);
  }
  process.send(seen);
  process.disconnect();
}

async function watch() {
  const folder = mkdtempSync(join(tmpdir(), 'latchclock-'));
  const path = join(folder, 'page');
  const children = new Set();
  const start = async (role) => {
    const child = fork(import.meta.filename, [role, path]);
    children.add(child);
    const ended = once(child, 'exit').then(([code, signal]) => {
      children.delete(child);
      throw new Error(`the ${role} ended with ${code ?? signal}`);
    });
    // One that is to end is not waited for.
    ended.catch(() => undefined);
    await Promise.race([once(child, 'message'), ended]);
    return child;
  };
  const kill = async (child) => {
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  };
  try {
    let writer = await start('writer');
    const readers = await Promise.all(Array.from({ length: READERS }, () => start('reader')));
    const refused = await Timekeeper.start({ page: path }).catch(({ code }) => code);
    console.log(`a second writer: ${refused}`);
    for (const pauseMs of [0, 100, 200, 2 * WINDOW_MS + 500]) {
      await sleep(300);
      await kill(writer);
      await sleep(pauseMs);
      writer = await start('writer');
      console.log(`writer killed by SIGKILL, and another one started ${pauseMs} ms later`);
    }
    await sleep(300);
    const saw = await Promise.all(
      readers.map(async (reader) => {
        const told = once(reader, 'message');
        reader.send('enough');
        return (await told)[0];
      }),
    );
    console.log('reader   values   refused                   longest without a value   back   outside');
    for (const [at, { values, refusals, longestGapMs, back, outside }] of saw.entries()) {
      const why =
        Object.entries(refusals)
          .map(([code, times]) => `${times} ${code}`)
          .join(', ') || 'never';
      const cells = [
        `${at + 1}`.padEnd(8),
        `${values}`.padEnd(8),
        why.padEnd(25),
        `${longestGapMs.toFixed(1)} ms`.padEnd(25),
      ];
      console.log(`${cells.join(' ')} ${`${back}`.padEnd(6)} ${outside}`);
    }
    // The last pause was longer than two windows, the most that is offered at once; nobody is refused for another reason.
    const holds = saw.every(
      ({ values, refusals, back, outside }) =>
        values > 100 && back === 0 && outside === 0 && Object.keys(refusals).join() === 'ERR_OUT_OF_WINDOW',
    );
    console.log(
      holds && refused === 'ERR_PAGE_TAKEN' ? 'no reader ever saw time go back' : 'this did not hold',
    );
    process.exitCode = holds && refused === 'ERR_PAGE_TAKEN' ? 0 : 1;
  } finally {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
}

const [role, path] = process.argv.slice(2);
// A child does not outlive whoever started it.
if (role !== undefined) process.once('disconnect', () => process.exit());
if (role === 'writer') await write(path);
else if (role === 'reader') await read(path);
else await watch();
