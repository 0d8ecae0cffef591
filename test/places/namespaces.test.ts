import { describe, expect } from 'vitest';
import { BIN, type CliResult, runProgram } from '../support/run-cli.ts';
import { cannotRun, testUnless } from '../support/tools.ts';
import { checksOf, compile, INSPECT, temporaryFolder, VALIDATE } from './place.ts';

type Offsets = { monotonicNs: string; boottimeNs: string } | null;

interface Inspected {
  host: { timeNamespace: boolean | null };
  page: { found: string; index: number; now: { ns: Record<string, string> }; proof: { clocks: string[] } };
  namespace: { inTimeNamespace: boolean | null; offsets: Offsets; childrenOffsets: Offsets };
  vdso: { symbols: unknown[] };
}

function inspected({ code, signal, out, err }: CliResult): Inspected {
  expect({ code, signal, err }).toEqual({ code: 0, signal: null, err: '' });
  return JSON.parse(out) as Inspected;
}

describe('a mount namespace', () => {
  const noMounts = cannotRun('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/sys/kernel/btf']);
  const behind = (mounts: string, arguments_: readonly string[]): CliResult =>
    runProgram('unshare', [
      '-m',
      'sh',
      '-c',
      `${mounts} && exec "$@"`,
      'sh',
      process.execPath,
      ...arguments_,
    ]);
  const NO_BTF = 'mount -t tmpfs none /sys/kernel/btf';
  const NO_SYS_NO_PROC = 'mount -t tmpfs none /sys && mount -t tmpfs none /proc';

  testUnless(noMounts, 'without BTF: the table finds the layout, and it is proved', () => {
    const checks = checksOf(behind(NO_BTF, VALIDATE));
    expect(checks['page.layout']).toMatchObject({ status: 'pass', evidence: { source: 'table' } });
    expect(checks['page.layout']?.evidence['btfProblem']).toContain('ENOENT');
    expect(checks['page.exact']?.status).toBe('pass');
  });

  testUnless(noMounts, 'without /sys and /proc: the pages are found below the vDSO', () => {
    const checks = checksOf(behind(NO_SYS_NO_PROC, VALIDATE));
    expect(checks['page.exact']?.status).toBe('pass');
    expect(checks['vdso.image']?.status).toBe('pass');
    expect(checks['page.namespace']?.reason).toContain('/proc does not tell');
  });

  testUnless(noMounts, 'without BTF: inspect shows the page by the table', () => {
    expect(inspected(behind(NO_BTF, INSPECT)).page.found).toBe('table');
  });

  testUnless(noMounts, 'without /sys and /proc: inspect shows page and vDSO, and what is not told', () => {
    const { page, vdso, namespace } = inspected(behind(NO_SYS_NO_PROC, INSPECT));
    expect(page.proof.clocks).toContain('monotonic');
    expect(vdso.symbols.length).toBeGreaterThan(0);
    expect(namespace).toEqual({ inode: null, inTimeNamespace: null, offsets: null, childrenOffsets: null });
  });
});

describe('a time namespace', () => {
  // A machine that has been up for less could not be set back by these.
  const BACK = ['-T', '--monotonic', '-10', '--boottime', '-20'];
  const noTimeNamespace = cannotRun('unshare', [...BACK, 'true']);
  const NESTED = ['-T', '--monotonic', '1000', '--boottime', '5000', 'unshare', ...BACK];
  const noNesting = cannotRun('unshare', [...NESTED, 'true']);

  const inNamespace = (arguments_: readonly string[]): Inspected =>
    inspected(runProgram('unshare', [...arguments_, process.execPath, ...INSPECT]));

  /** The page of the namespace, read with its offsets, stands below this process's own clocks. */
  function expectSetBack({ page, namespace }: Inspected): void {
    const here = Number(process.hrtime.bigint());
    expect(namespace).toMatchObject({
      inTimeNamespace: true,
      offsets: { monotonicNs: '-10000000000', boottimeNs: '-20000000000' },
    });
    const there = Number(page.now.ns['monotonic']);
    expect(there).toBeLessThan(here - 10e9);
    // Read a short while ago: a minute is far from both.
    expect(there).toBeGreaterThan(here - 70e9);
  }

  testUnless(
    noTimeNamespace,
    'with clocks set back: inspect reads the real page with negative offsets',
    () => {
      expectSetBack(inNamespace(BACK));
    },
  );

  testUnless(
    noNesting,
    'within another: the inner offsets count from the machine, not from the outer',
    () => {
      expectSetBack(inNamespace(NESTED));
    },
  );

  testUnless(noNesting, 'within another: validate holds, and page and /proc agree on the offsets', () => {
    const checks = checksOf(runProgram('unshare', [...NESTED, process.execPath, ...VALIDATE]));
    expect(checks['page.namespace']).toMatchObject({
      status: 'pass',
      evidence: { pageOffsetsNs: { monotonic: '-10000000000', boottime: '-20000000000' } },
    });
    expect(checks['page.exact']?.status).toBe('pass');
  });
});

describe('a process that made a time namespace for its children and lives in its own', () => {
  const library = compile(temporaryFolder(), 'namespace-for-children', '-shared', '-fPIC');
  const noUnshare = cannotRun('env', [`LD_PRELOAD=${library}`, 'true']);
  const preloaded = (arguments_: readonly string[]): CliResult =>
    runProgram('env', [`LD_PRELOAD=${library}`, process.execPath, ...arguments_]);

  testUnless(noUnshare, 'validate holds: the offsets of /proc are not its own, and it says so', () => {
    const { 'page.namespace': check } = checksOf(preloaded([...VALIDATE, '--only', 'page.namespace']));
    expect(check).toMatchObject({
      status: 'pass',
      reason: expect.stringMatching(/^in the initial namespace.*for children: monotonic \+86400 s/),
      evidence: { inTimeNamespace: false, toldByProc: false, procOffsetsNs: null },
    });
  });

  testUnless(noUnshare, 'inspect tells the offsets as those for children', () => {
    const { host, namespace } = inspected(preloaded(INSPECT));
    expect(host.timeNamespace).toBe(false);
    expect(namespace).toMatchObject({
      inTimeNamespace: false,
      offsets: null,
      childrenOffsets: { monotonicNs: '86400000000000', boottimeNs: '86400000000001' },
    });
    const { out } = preloaded([BIN, 'inspect']);
    expect(out).toMatch(/^ for children +monotonic 86400\.000000000 s/m);
  });
});
