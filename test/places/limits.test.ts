import { chmodSync } from 'node:fs';
import { describe, expect } from 'vitest';
import { runProgram } from '../support/run-cli.ts';
import { cannotRun, testUnless } from '../support/tools.ts';
import {
  built,
  type Check,
  checksOf,
  compile,
  LIBRARY,
  runModule,
  temporaryFolder,
  VALIDATE,
} from './place.ts';

/**
 * Limits of a process. Most are set by the process itself once Node and the library are loaded: below that it is
 * Node that fails to start.
 */

const folder = temporaryFolder();
const MIB = 1 << 20;

const noPrlimit = cannotRun('prlimit', ['--nofile=1024', 'true']);

/** A module that has the library loaded and `prepare` run, then limits itself by prlimit and runs `body`. */
function limited(limits: string, body: string, prepare = ''): string {
  return `
    import { execFileSync } from 'node:child_process';
    import { readFileSync } from 'node:fs';
    import { validate } from '${LIBRARY}';
    ${prepare}
    const status = (field) =>
      1024 * Number(new RegExp(field + ':\\\\s+(\\\\d+) kB').exec(readFileSync('/proc/self/status', 'utf8'))[1]);
    execFileSync('prlimit', ['--pid', String(process.pid), ...${limits}]);
    ${body}`;
}

const REPORT = `console.log(JSON.stringify(await validate({ budget: 'quick' })));`;
// Integers of 64 bits are no JSON: as text, like the command line has them.
const WITH_BIGINT = `BigInt.prototype.toJSON = function () { return String(this); };`;

const LOADED = `
  import { getAddon } from '${built('native/load.js')}';
  getAddon();`;

/** Checks that start threads. */
const THREADED = ['counter.warp', 'counter.offset', 'clock.monotonic', 'page.updates'];

function expectNoThreads(checks: Record<string, Check>): void {
  for (const id of THREADED) {
    expect(checks[id], id).toMatchObject({
      status: 'skip',
      reason: 'pthread_create failed with EAGAIN',
      advice: expect.stringContaining('ulimit'),
    });
  }
  expect(checks['vdso.fast']).toMatchObject({
    evidence: { probeRefused: expect.stringContaining('pthread_create failed with EAGAIN') },
  });
  expect(checks['page.exact']?.status).toBe('pass');
}

describe('open files', () => {
  /**
   * Leaves room for so many files: every other place below the limit is taken, whatever this process has inherited
   * and Node has opened by itself until then.
   */
  const roomFor = (files: number): string => `
    import { closeSync, openSync } from 'node:fs';
    const taken = [];
    try {
      for (;;) taken.push(openSync('/dev/null'));
    } catch (error) {
      if (error.code !== 'EMFILE') throw error;
    }
    for (let i = 0; i < ${files}; i++) closeSync(taken.pop());`;
  const LIMIT = `['--nofile=512']`;
  const checksWithRoomFor = (files: number): Record<string, Check> => {
    const module = limited(LIMIT, roomFor(files) + REPORT, WITH_BIGINT + LOADED);
    return checksOf(runModule(module));
  };

  testUnless(
    noPrlimit,
    'room for one, none for a pipe: what copies memory is skipped with the reason',
    () => {
      const checks = checksWithRoomFor(1);
      for (const id of [
        'vdso.image',
        'page.layout',
        'page.exact',
        'page.namespace',
        'page.faults',
        'page.updates',
      ]) {
        expect(checks[id], id).toMatchObject({
          status: 'skip',
          reason: 'pipe2 failed with EMFILE',
          advice: expect.stringContaining('ulimit -n'),
        });
      }
      expect(checks['clock.paths']?.status).toBe('pass');
    },
  );

  testUnless(noPrlimit, 'room for none: what reads files is skipped, clocks are checked', () => {
    const checks = checksWithRoomFor(0);
    expect(checks['page.exact']).toMatchObject({ status: 'skip', reason: 'pipe2 failed with EMFILE' });
    expect(checks['clock.paths']?.status).toBe('pass');
  });

  testUnless(
    noPrlimit,
    'room for a pipe: everything is checked, but for what a timekeeper keeps in a page',
    () => {
      const checks = checksWithRoomFor(2);
      const refused = Object.values(checks).filter(({ reason }) => reason.includes('EMFILE'));
      expect(refused.length).toBeGreaterThan(0);
      for (const { id, status } of refused) {
        expect(id).toMatch(/^(smear|schedule|preference|namespace)\.|^counter\.frequency$/);
        expect(status).toBe('skip');
      }
      expect(checks['page.exact']?.status).toBe('pass');
    },
  );

  testUnless(
    noPrlimit,
    'room for none before the addon is loaded: an error of the one class says why',
    () => {
      const body = `
      const error = await validate().catch((error) => error);
      console.log(JSON.stringify({ name: error.name, code: error.code, message: error.message }));`;
      const { code, out } = runModule(limited(LIMIT, roomFor(0) + body));
      expect(code).toBe(0);
      expect(JSON.parse(out)).toMatchObject({
        name: 'LatchclockError',
        code: 'ERR_ADDON_MISSING',
        message: expect.stringMatching(/EMFILE.*ulimit -n/),
      });
    },
  );
});

describe('memory', () => {
  // The library's threads then ask for more room than there is, and everything else for far less.
  const STACKS = ['--stack=1073741824:1073741824'];
  const beyond = (field: string, option: string, bytes: number): string =>
    `['${option}=' + (status('${field}') + ${bytes})]`;

  testUnless(noPrlimit, 'no address space for the stack of a thread: what needs threads is skipped', () => {
    const module = limited(beyond('VmSize', '--as', 512 * MIB), REPORT, WITH_BIGINT);
    expectNoThreads(
      checksOf(
        runProgram('prlimit', [...STACKS, ...[process.execPath, '--input-type=module', '-e', module]]),
      ),
    );
  });

  testUnless(noPrlimit, 'no room for a recording: an error with ENOMEM, no abort', () => {
    const prepare = `
      import { openMachine } from '${built('host/host.js')}';
      import { startRecording } from '${built('host/page-recording.js')}';
      const host = openMachine();
      host.page();`;
    const body = `
      let told = null;
      try { startRecording(host, 1e9, 3_600); } catch (error) { told = error; }
      console.log(JSON.stringify({ code: told?.code, errno: told?.errno, todo: told?.todo }));`;
    const { code, out, err } = runModule(limited(beyond('VmSize', '--as', 128 * MIB), body, prepare));
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(JSON.parse(out)).toEqual({
      code: 'ERR_SYSTEM_CALL',
      errno: 'ENOMEM',
      todo: expect.stringContaining('ulimit -v'),
    });
  });

  testUnless(noPrlimit, 'some data more than Node has at its start (--data): everything is checked', () => {
    const checks = checksOf(runModule(limited(beyond('VmData', '--data', 256 * MIB), REPORT, WITH_BIGINT)));
    for (const id of ['page.exact', 'clock.paths', 'vdso.fast']) expect(checks[id]?.status, id).toBe('pass');
  });
});

// Of no account on this machine: limits of a user are shared by all that runs under its name.
const SOMEBODY = ['--reuid=54321', '--regid=54321', '--clear-groups', '--inh-caps=-all'];
const noUser = noPrlimit ?? cannotRun('setpriv', [...SOMEBODY, process.execPath, '-e', '0']);

describe('a user without privilege', () => {
  testUnless(
    noUser,
    'who may start no thread and no process: what needs them is skipped with the reason',
    () => {
      const module = limited(`['--nproc=1']`, REPORT, WITH_BIGINT);
      const checks = checksOf(
        runProgram('setpriv', [...SOMEBODY, ...[process.execPath, '--input-type=module', '-e', module]]),
      );
      expectNoThreads(checks);
      expect(checks['clock.errors']?.reason).toContain('not tried everywhere: fork failed with EAGAIN');
    },
  );

  describe('whose pipes are small, having too many', () => {
    const COUNT = '1200';
    const manyPipes = compile(folder, 'many-pipes');
    chmodSync(folder, 0o755);
    const noPipes = noUser ?? cannotRun('setpriv', [...SOMEBODY, manyPipes, COUNT, 'true']);

    testUnless(noPipes, 'reads pages and vDSO all the same', () => {
      const checks = checksOf(
        runProgram('setpriv', [...SOMEBODY, manyPipes, COUNT, process.execPath, ...VALIDATE]),
      );
      for (const id of ['vdso.image', 'page.layout', 'page.exact', 'page.faults'])
        expect(checks[id]?.status, id).toBe('pass');
    });
  });
});
