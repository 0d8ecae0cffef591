import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BIN, type CliResult, ROOT } from '../support/run-cli.ts';
import { built, checksIn, LIBRARY, runModule, startProgram, temporaryFolder } from './place.ts';

/** Many runs in one process, many processes at once, and threads and processes that end while the addon works. */

const folder = temporaryFolder();

/** Whatever a thread or process does with the addon until it is ended: `await work(name)` again and again. */
const WORK = `
  import { counter, openClock, validate } from '${LIBRARY}';
  import { openMachine } from '${built('host/host.js')}';
  import { startRecording } from '${built('host/page-recording.js')}';
  import { LockStepSource } from '${built('native/addon.js')}';

  const host = openMachine();
  const clock = openClock('monotonic');
  const cpus = Uint32Array.from(host.addon.cpuAffinity());
  const out = new BigInt64Array(1);
  /** A minute, left to run: it ends with its thread or process. */
  const record = () => startRecording(host, 2e9, 60);
  const works = {
    read() {
      for (let i = 0; i < 10_000; i++) {
        counter.read();
        clock.nowInto(out);
      }
    },
    lockStep: () => host.addon.lockStep(LockStepSource.counter, 0, null, cpus, 100_000, 5_000_000),
    validate: () => validate({ budget: 'quick', only: ['vdso.image', 'page.faults', 'clock.errors'] }),
    record: () => record().stop(),
  };
  const NAMES = Object.keys(works);
  const work = async (name) => {
    await works[name]();
    await new Promise((resolve) => setImmediate(resolve));
  };`;

/** A worker thread: begins a recording, says so, and works until it is ended. */
const workerFile = join(folder, 'worker.mjs');
writeFileSync(
  workerFile,
  `import { parentPort, workerData } from 'node:worker_threads';
  ${WORK}
  // Recordings keep a CPU busy each: one worker of each kind has one.
  const recording = workerData.name === 'record' ? record() : null;
  await work(workerData.name);
  parentPort.postMessage('ready');
  if (workerData.exits) setTimeout(() => process.exit(workerData.exits), 5);
  for (;;) await work(workerData.name);`,
);

/**
 * Runs a module that can `startWorker`. Without V8's own threads: Node 20 aborts now and then, with no addon in the
 * stack, when V8 still compiles for a worker that is gone (`NodePlatform::ForIsolate`).
 */
function runWithWorkers(module: string, seed = 1): CliResult {
  return runModule(`${START_WORKER}${WORK}let seed = ${seed};${module}`, ['--single-threaded']);
}

const START_WORKER = `
  import { once } from 'node:events';
  import { readdirSync } from 'node:fs';
  import { setTimeout as sleep } from 'node:timers/promises';
  import { Worker } from 'node:worker_threads';
  const startWorker = async (workerData) => {
    const worker = new Worker(new URL('file://${workerFile}'), { workerData, execArgv: [] });
    await once(worker, 'message');
    return worker;
  };
  // Numerical Recipes' generator: the same delays for the same seed.
  const random = () => (seed = (1664525 * seed + 1013904223) >>> 0) / 2 ** 32;
  const threads = () => readdirSync('/proc/self/task').length;`;

describe('a process that validates 1000 times', () => {
  test('has as many open files, threads and children at the end as at the start, and grows by little', {
    timeout: 150_000,
  }, () => {
    const { code, signal, out, err } = runModule(`
      import { readdirSync, readFileSync } from 'node:fs';
      import { validate } from '${LIBRARY}';
      const only = ['vdso.image', 'vdso.symbols', 'page.layout', 'page.namespace', 'page.faults', 'counter.invariant'];
      const count = () => ({
        files: readdirSync('/proc/self/fd').length,
        threads: readdirSync('/proc/self/task').length,
        children: readdirSync('/proc').filter((pid) => {
          try {
            return /^\\d+$/.test(pid) && readFileSync('/proc/' + pid + '/stat', 'utf8').split(') ')[1].split(' ')[1] === String(process.pid);
          } catch {
            return false;
          }
        }).length,
      });
      let failed = 0;
      const run = async () => {
        const { summary } = await validate({ budget: 'quick', only });
        failed += summary.pass === only.length ? 0 : 1;
      };
      // The engine's own caches fill up first.
      for (let i = 0; i < 100; i++) await run();
      const before = count();
      const residentBefore = process.memoryUsage.rss();
      for (let i = 0; i < 900; i++) await run();
      const grownMiB = Math.round((process.memoryUsage.rss() - residentBefore) / 2 ** 20);
      console.log(JSON.stringify({ failed, before, after: count(), grownMiB }));`);
    expect({ code, signal, err }).toEqual({ code: 0, signal: null, err: '' });
    const { failed, before, after, grownMiB } = JSON.parse(out) as Record<string, unknown>;
    expect({ failed, after }).toEqual({ failed: 0, after: before });
    // Each run reads megabytes of type information: a leak of them would be gigabytes.
    expect(grownMiB).toBeLessThan(200);
  });
});

describe('the command line', () => {
  test('started 50 times, ten at once, ends well each time', async () => {
    const command = [BIN, 'validate', '--only', 'vdso.image', '--format', 'json'];
    for (let batch = 0; batch < 5; batch++) {
      const runs = Array.from({ length: 10 }, () => startProgram(process.execPath, command).ended);
      for (const { code, signal, out, err } of await Promise.all(runs)) {
        expect({ code, signal, err }).toEqual({ code: 0, signal: null, err: '' });
        expect(checksIn(out)['vdso.image']?.status).toBe('pass');
      }
    }
  });
});

describe('worker threads that read, compare, validate and record', () => {
  test('terminated at any moment: the process survives them, and no recording goes on', () => {
    const { code, signal, out, err } = runWithWorkers(
      `
      await work('read');
      await work('lockStep');
      const before = threads();
      let terminated = 0;
      for (let round = 0; round < 12; round++) {
        const workers = await Promise.all([0, 1, 2].map((i) => startWorker({ name: NAMES[(round + i) % NAMES.length] })));
        await Promise.all(workers.map(async (worker) => {
          await sleep(40 * random());
          await worker.terminate();
          terminated++;
        }));
        await work('read');
      }
      const { summary } = await validate({ budget: 'quick', only: ['page.layout'] });
      console.log(JSON.stringify({ terminated, grown: threads() - before, pass: summary.pass }));`,
    );
    expect({ code, signal, err }).toEqual({ code: 0, signal: null, err: '' });
    expect(JSON.parse(out)).toEqual({ terminated: 36, grown: 0, pass: 1 });
  });

  test('that call process.exit end alone, with their code', () => {
    const { code, signal, out, err } = runWithWorkers(
      `
      const exits = [];
      for (const name of NAMES) {
        const worker = await startWorker({ name, exits: 5 });
        exits.push((await once(worker, 'exit'))[0]);
      }
      await work('read');
      console.log(JSON.stringify(exits));`,
    );
    expect({ code, signal, err }).toEqual({ code: 0, signal: null, err: '' });
    expect(JSON.parse(out)).toEqual([5, 5, 5, 5]);
  });

  test.each([1, 2, 3, 4])(
    'process.exit in the main thread beside them: its code, no crash (delays %i)',
    (delays) => {
      const { code, signal, err } = runWithWorkers(
        `
      const recording = record();
      await Promise.all([0, 1, 2].map((i) => startWorker({ name: NAMES[(i + seed) % NAMES.length] })));
      await sleep(30 * random());
      process.exit(7);`,
        delays,
      );
      expect({ code, signal, err }).toEqual({ code: 7, signal: null, err: '' });
    },
  );
});

describe('a forked child with a recording and a timer', () => {
  const childFile = join(folder, 'child.mjs');
  writeFileSync(
    childFile,
    `${WORK}
    const recording = record();
    const timer = setInterval(() => work('read'), 1);
    const endings = {
      exit: () => process.exit(3),
      throw: () => setTimeout(() => { throw new Error('on purpose'); }),
      killItself: () => process.kill(process.pid, 'SIGTERM'),
      nothingLeft: () => {
        clearInterval(timer);
        process.disconnect();
      },
      wait: () => undefined,
    };
    process.on('message', (ending) => endings[ending]());
    process.send('ready');`,
  );

  test.each([
    ['exit', null, { code: 3, signal: null }],
    ['throw', null, { code: 1, signal: null }],
    ['killItself', null, { code: null, signal: 'SIGTERM' }],
    ['nothingLeft', null, { code: 0, signal: null }],
    ['wait', 'SIGTERM', { code: null, signal: 'SIGTERM' }],
    ['wait', 'SIGINT', { code: null, signal: 'SIGINT' }],
    ['wait', 'SIGKILL', { code: null, signal: 'SIGKILL' }],
  ] as const)(
    'that ends by "%s" and %s: %j, at once, and nothing of it is left',
    async (ending, kill, expected) => {
      const child = fork(childFile, { cwd: ROOT, silent: true, timeout: 30_000, killSignal: 'SIGABRT' });
      let err = '';
      child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
        err += chunk;
      });
      await once(child, 'message');
      const closed = once(child, 'close');
      child.send(ending);
      if (kill !== null) child.kill(kill);
      const [code, signal] = await closed;
      expect({ code, signal }).toEqual(expected);
      expect(err).toMatch(ending === 'throw' ? /Error: on purpose/ : /^$/);
      expect(existsSync(`/proc/${child.pid}`)).toBe(false);
    },
  );
});
