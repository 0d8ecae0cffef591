import { constants } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { BIN, type CliResult, runProgram } from '../support/run-cli.ts';
import { cannotRun, testUnless } from '../support/tools.ts';
import { type Check, checksOf, compile, INSPECT, LIBRARY, temporaryFolder, VALIDATE } from './place.ts';

/** Sandboxes: a seccomp filter answers system calls in place of the kernel. */

const { EPERM, ENOSYS, EACCES } = constants.errno;
const PR_SET_SECCOMP = 22;
const PR_GET_TSC = 25;

const CLOCKS = 'clock_gettime,clock_getres,gettimeofday,time,adjtimex,clock_adjtime';
const FILTERS = `seccomp,prctl:${PR_SET_SECCOMP}`;

const folder = temporaryFolder();
let refusing: string;
beforeAll(() => {
  refusing = compile(folder, 'refusing');
});

function refused(errno: number, calls: string, arguments_: readonly string[]): CliResult {
  return runProgram(refusing, [String(errno), calls, process.execPath, ...arguments_]);
}

describe('a filter that refuses the clock system calls', () => {
  const validated = (errno: number, calls = CLOCKS): Record<string, Check> =>
    checksOf(refused(errno, calls, VALIDATE));

  test.each([
    ['EPERM', EPERM],
    ['ENOSYS', ENOSYS],
    ['EACCES', EACCES],
  ])(
    'with %s: the host is not said to be broken, the filter is named, the rest is checked',
    (name, errno) => {
      const checks = validated(errno);
      expect(checks['clock.paths']).toMatchObject({
        status: 'warn',
        reason: expect.stringContaining(`refused with ${name}`),
        advice: expect.stringContaining('seccomp'),
        evidence: { filtered: [name], disagreements: [] },
      });
      expect(checks['clock.errors']).toMatchObject({
        status: 'skip',
        reason: expect.stringContaining(name),
        advice: expect.stringContaining('seccomp'),
      });
      expect(checks['clock.resolution']?.evidence).toMatchObject({ refused: name });
      // Counted, not timed: a filter on top of a filter still tells who entered the kernel.
      expect(checks['vdso.fast']).toMatchObject({ status: 'pass', evidence: { entries: { monotonic: 0 } } });
      for (const id of ['clock.relations', 'vdso.image', 'page.exact', 'page.namespace'])
        expect(checks[id]?.status, id).toBe('pass');
      expect(checks['counter.frequency']?.evidence['kernelHz']).not.toBeNull();
    },
  );

  test.each([
    ['compare', '--for', '300ms'],
    ['compare', '--mode', 'free', '--for', '300ms'],
    ['compare', '--mode', 'page', '--for', '300ms'],
    ['bench', '--quick', '--rounds', '5', '--paths', 'vdso,syscall', '--clocks', 'monotonic'],
  ])('%s %s %s works without them', (...command) => {
    const { code, out } = refused(EPERM, CLOCKS, [BIN, ...command]);
    expect(code).toBe(0);
    if (command[0] === 'bench') expect(out).toMatch(/^skipped\n syscall .*EPERM/m);
  });

  test("the kernel's page is proved by the vDSO, and the proof says so", () => {
    const checks = checksOf(refused(EPERM, CLOCKS, [...VALIDATE, '--only', 'page.layout']));
    expect(checks['page.layout']).toMatchObject({
      status: 'pass',
      reason: expect.stringContaining('by vDSO'),
      evidence: { provedBy: 'vdso' },
    });
    const inspected = refused(EPERM, CLOCKS, INSPECT);
    expect({ code: inspected.code, err: inspected.err }).toEqual({ code: 0, err: '' });
    expect(JSON.parse(inspected.out)).toMatchObject({
      page: { proof: { path: 'vdso' } },
      discipline: { problem: expect.stringContaining('adjtimex failed with EPERM') },
    });
    const text = refused(EPERM, CLOCKS, [BIN, 'inspect']);
    expect(text.code).toBe(0);
    expect(text.out).toMatch(/proved by +7 clocks by vDSO/);
  });

  test('and filters too: nothing is left to judge the fast path by, which is a skip', () => {
    const { 'vdso.fast': fast } = checksOf(
      refused(EPERM, `${CLOCKS},${FILTERS}`, [...VALIDATE, '--only', 'vdso']),
    );
    expect(fast).toMatchObject({ status: 'skip', advice: expect.stringContaining('seccomp') });
  });
});

describe('a filter that refuses CLOCK_TAI alone', () => {
  const TAI = 'clock_gettime:11';

  test('leaves the page path: it is proved by the clocks that answer, and by the vDSO for that one', () => {
    const checks = checksOf(refused(EPERM, TAI, [...VALIDATE, '--only', 'page,clock.paths']));
    expect(checks['page.layout']).toMatchObject({
      status: 'pass',
      evidence: { provedByVdso: ['tai'], notProved: [] },
    });
    expect(checks['page.layout']?.reason).toContain('tai by vDSO: the system call refuses');
    for (const id of ['page.exact', 'page.namespace', 'page.faults'])
      expect(checks[id]?.status, id).toBe('pass');
    expect(checks['clock.paths']?.evidence).toMatchObject({ filtered: ['EPERM'], filteredClocks: ['tai'] });
  });

  test('leaves compare, and openClock by page', () => {
    expect(refused(EPERM, TAI, [BIN, 'compare', '--mode', 'page', '--for', '300ms']).code).toBe(0);
    const open = `import { openClock } from ${JSON.stringify(LIBRARY)}; console.log(openClock('monotonic').path, openClock('tai').path)`;
    const { out } = refused(EPERM, TAI, ['--input-type=module', '-e', open]);
    expect(out).toBe('page page\n');
  });
});

describe('a filter that kills', () => {
  const killing = (calls: string, arguments_: readonly string[]): CliResult =>
    runProgram(refusing, ['kill', calls, process.execPath, ...arguments_]);
  const TIMES = 'clock_gettime:11,adjtimex,clock_adjtime';

  test('for CLOCK_TAI and adjtimex kills neither validate nor inspect nor compare: they do not ask for it', () => {
    const only = 'page.layout,page.exact,clock.paths,clock.relations,clock.errors,vdso';
    const checks = checksOf(killing(TIMES, [...VALIDATE, '--only', only]));
    expect(checks['page.layout']).toMatchObject({ status: 'pass', evidence: { provedByVdso: ['tai'] } });
    expect(checks['page.exact']?.status).toBe('pass');
    expect(checks['clock.paths']).toMatchObject({ status: 'warn', evidence: { filtered: ['SIGSYS'] } });
    const inspected = killing(TIMES, INSPECT);
    expect({ code: inspected.code, signal: inspected.signal }).toEqual({ code: 0, signal: null });
    expect(JSON.parse(inspected.out)).toMatchObject({
      discipline: { problem: expect.stringContaining('adjtimex is not made: a filter kills for it') },
    });
    expect(killing(TIMES, [BIN, 'compare', '--mode', 'page', '--for', '300ms'])).toMatchObject({
      code: 0,
      signal: null,
    });
  });

  test('does not get a program killed that opens a clock, in a thread neither, and no child is left', () => {
    const module = `
      import { readdirSync, readFileSync } from 'node:fs';
      import { isMainThread, Worker } from 'node:worker_threads';
      import { openClock } from ${JSON.stringify(LIBRARY)};
      const children = () => readdirSync('/proc/self/task').flatMap((task) =>
        readFileSync(\`/proc/self/task/\${task}/children\`, 'utf8').split(' ').filter((id) => id !== ''));
      const clock = openClock('monotonic');
      console.log(clock.path, clock.now() > 0n, children().length);
      const code = "import(" + JSON.stringify(${JSON.stringify(LIBRARY)}) + ").then((m) => console.log(m.openClock('tai').path))";
      new Worker(code, { eval: true }).on('exit', (end) => console.log('exit', end, children().length));
    `;
    const { code, signal, out } = killing(TIMES, ['--input-type=module', '-e', module]);
    expect({ code, signal, out }).toEqual({ code: 0, signal: null, out: 'page true 0\npage\nexit 0 0\n' });
  });

  test('for every clock: they are read by vDSO, and what needs the call says so', () => {
    const calls = 'clock_gettime,clock_getres,adjtimex,process_vm_readv,sched_setaffinity';
    const open = `import { openClock } from ${JSON.stringify(LIBRARY)}; console.log(openClock('monotonic').path);
      try { openClock('monotonic', { path: 'syscall' }); } catch (error) { console.log(error.code, error.errno, error.syscall); }`;
    const opened = killing(calls, ['--input-type=module', '-e', open]);
    expect(opened).toMatchObject({ code: 0, out: 'vdso\nERR_SYSTEM_CALL SIGSYS clock_gettime\n' });
    const checks = checksOf(killing(calls, VALIDATE));
    expect(checks['clock.errors']).toMatchObject({
      status: 'skip',
      advice: expect.stringContaining('seccomp'),
    });
    expect(checks['counter.offset']?.reason).toContain('a filter kills for it');
  });
});

describe('a filter that refuses other questions', () => {
  test('about memory, CPUID and the counter (process_vm_readv, arch_prctl, PR_GET_TSC): all is checked', () => {
    const ARCH_GET_CPUID = 0x1011;
    const calls = `process_vm_readv,arch_prctl:${ARCH_GET_CPUID},prctl:${PR_GET_TSC}`;
    const checks = checksOf(refused(EPERM, calls, VALIDATE));
    for (const id of ['counter.invariant', 'clock.errors', 'page.layout', 'page.exact', 'vdso.fast'])
      expect(checks[id]?.status, id).toBe('pass');
    const { code, out } = refused(EPERM, calls, INSPECT);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ counter: { state: 'unknown', problem: null } });
  });

  test('filters of our own: vdso.fast goes by costs, and says so', () => {
    const { 'vdso.fast': fast } = checksOf(refused(EPERM, FILTERS, [...VALIDATE, '--only', 'vdso.fast']));
    expect(fast?.evidence).toMatchObject({
      entries: null,
      probeRefused: expect.stringContaining('prctl failed'),
    });
  });

  test('waiting for a child (wait4), with EINTR for ever: does not hang, and the rest is measured', () => {
    const checks = checksOf(refused(constants.errno.EINTR, 'wait4', [...VALIDATE, '--only', 'clock.errors']));
    expect(checks['clock.errors']?.reason).toContain('not tried everywhere: waitpid failed with EINTR');
    // Who cannot be waited for is in nobody's way.
    const stressed = [BIN, 'hazards', '--quick', '--only', 'stressed,seqlock,writer-killed'];
    expect(refused(constants.errno.EINTR, 'wait4', stressed).signal).toBeNull();
  });

  test('locks (flock), as a file system without them does: ENOLCK is named, with what to do', () => {
    const module = `
      import { Timekeeper } from '${LIBRARY}';
      await Timekeeper.start({ page: ${JSON.stringify(join(folder, 'page'))} }).catch(({ code, errno, message }) => {
        console.log(code, errno, message);
      });`;
    const { out } = refused(constants.errno.ENOLCK, 'flock', ['--input-type=module', '-e', module]);
    expect(out).toMatch(/^ERR_SYSTEM_CALL ENOLCK flock failed with ENOLCK .*file system that has locks/);
  });

  test('pinning (sched_setaffinity): what needs it is skipped, the rest is measured unpinned', () => {
    const only = 'counter.warp,counter.offset,clock.monotonic,page.exact';
    const checks = checksOf(refused(EPERM, 'sched_setaffinity', [...VALIDATE, '--only', only]));
    expect(checks['page.exact']).toMatchObject({ status: 'pass', evidence: { pinned: false } });
    expect(checks['clock.monotonic']).toMatchObject({
      status: 'skip',
      reason: 'sched_setaffinity failed with EPERM',
      advice: expect.stringContaining('seccomp'),
    });
  });

  test('pinning, which it answers without doing it: seen by where the threads are, and never a pass', () => {
    const only = 'counter.warp,counter.offset,clock.monotonic,clock.paths,page.exact';
    const checks = checksOf(refused(0, 'sched_setaffinity', [...VALIDATE, '--only', only]));
    // By chance the threads may all be where they should, with two CPUs and as many threads: not in all of these.
    const skipped = Object.values(checks).filter(({ status }) => status === 'skip');
    expect(skipped.length).toBeGreaterThan(0);
    for (const { reason, advice } of skipped) {
      expect(reason).toMatch(/^a thread pinned to CPU \d+ ran on CPU \d+$|not on the CPUs asked for$/);
      expect(advice).toContain('sched_setaffinity');
    }
  });

  test('kill: writers that nobody kills are no deaths, with an errno and without', () => {
    const killed = (errno: number): Check | undefined =>
      checksOf(refused(errno, 'kill', [...VALIDATE, '--only', 'latch.stress,page.faults']))['latch.stress'];
    expect(killed(EPERM)).toMatchObject({
      status: 'skip',
      reason: 'kill failed with EPERM',
      advice: expect.stringContaining('seccomp'),
    });
    expect(killed(0)).toMatchObject({
      status: 'skip',
      reason: expect.stringMatching(/^0 writers of seqlock died, of the 2 needed/),
      evidence: { kills: 0, killedInside: 0 },
    });
  });

  test.each([[VALIDATE], [INSPECT]])(
    'which CPUs there are (sched_getaffinity): ends with 3 and why',
    (command) => {
      const { code, out, err } = refused(EPERM, 'sched_getaffinity', command);
      expect({ code, out }).toEqual({ code: 3, out: '' });
      expect(err).toMatch(/^latchclock: sched_getaffinity failed with EPERM [^\n]*seccomp[^\n]*\n$/);
    },
  );
});

describe('a tracer', () => {
  const GDB = ['-nx', '-batch', '-return-child-result', '-iex', 'set debuginfod enabled off'];
  // A debugger may not be allowed to trace, or to turn off the randomisation of addresses.
  const noGdb = cannotRun('gdb', [...GDB, '-ex', 'run', '--args', 'true']);
  const noStrace = cannotRun('strace', ['-f', '-qq', '-o', '/dev/null', '-e', 'trace=none', 'true']);

  const PASSING = ['clock.paths', 'vdso.fast', 'page.layout', 'page.exact', 'page.namespace', 'page.faults'];

  testUnless(noGdb, '(gdb, addresses not randomised) breaks no verdict', () => {
    const { code, out } = runProgram('gdb', [
      ...GDB,
      ...['-ex', 'handle all nostop noprint pass', '-ex', 'set print thread-events off'],
      ...['-ex', 'run', '--args', process.execPath, ...VALIDATE],
    ]);
    expect(code, out).toBe(0);
    const checks = checksOf({
      code,
      signal: null,
      out: out.slice(out.indexOf('\n{'), out.lastIndexOf('\n}') + 2),
      err: '',
    });
    for (const id of PASSING) expect(checks[id]?.status, id).toBe('pass');
  });

  testUnless(noStrace, '(strace of all threads) breaks no verdict', () => {
    // Each system call stops twice: the checks that make the most of them are left out.
    const only = 'page,vdso,clock.monotonic,clock.errors,counter.warp,counter.offset';
    const checks = checksOf(
      runProgram('strace', [
        ...['-f', '-qq', '-o', '/dev/null', '-e', 'trace=none'],
        ...[process.execPath, ...VALIDATE, '--only', only],
      ]),
    );
    for (const id of PASSING.filter((id) => id !== 'clock.paths'))
      expect(checks[id]?.status, id).toBe('pass');
  });
});
