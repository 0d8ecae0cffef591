import { expect } from 'vitest';
import { runProgram } from './support/run-cli.ts';
import { cannotRun, testUnless } from './support/tools.ts';

testUnless(
  cannotRun('cmake', ['--version']),
  'the C++ build makes an addon that Node loads',
  () => {
    const built = runProgram('npm', ['run', '--silent', 'build:cmake']);
    expect(built.code === 0 ? '' : built.out + built.err).toBe('');
    const script = "console.log(require('./build-cmake/Release/latchclock.node').readCounter(1) > 0n)";
    expect(runProgram(process.execPath, ['-e', script])).toMatchObject({ code: 0, out: 'true\n' });
  },
  300_000,
);
