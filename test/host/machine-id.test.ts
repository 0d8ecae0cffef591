import { expect, test } from 'vitest';
import { LatchclockError } from '../../lib/errors.ts';
import type { HostFiles } from '../../lib/host/files.ts';
import { machineFiles } from '../../lib/host/files.ts';
import { machineIdHash } from '../../lib/host/machine-id.ts';
import { runProgram } from '../support/run-cli.ts';
import { cannotRun, testUnless } from '../support/tools.ts';

const APPLICATION = '8a2f6c1e5b0d4e7c9f3ab6d81c4270e5';

function files(content: string | null): HostFiles {
  return {
    ...machineFiles,
    read: () => {
      if (content === null) throw new LatchclockError('ERR_FILE', 'cannot open: ENOENT');
      return Buffer.from(content);
    },
  };
}

test('tells machines apart, always alike, and never shows the machine id', () => {
  const first = machineIdHash(files('0123456789abcdef0123456789abcdef\n'));
  expect(first).toMatch(/^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$/);
  expect(machineIdHash(files('0123456789abcdef0123456789abcdef'))).toBe(first);
  expect(machineIdHash(files('0123456789abcdef0123456789abcdee\n'))).not.toBe(first);
});

test.each([null, '', 'uninitialized\n', '0'.repeat(32), 'a name'])('is null for %j', (content) => {
  expect(machineIdHash(files(content))).toBeNull();
});

const IDENTIFY = ['machine-id', `--app-specific=${APPLICATION}`];

testUnless(cannotRun('systemd-id128', IDENTIFY), 'is what systemd derives for this package', () => {
  expect(machineIdHash(machineFiles)).toBe(runProgram('systemd-id128', IDENTIFY).out.trim());
});
