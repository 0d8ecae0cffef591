import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readSystemLeapTable } from '../../lib/host/system-leap-table.ts';
import { simulatedHost } from '../support/simulated-host.ts';

const LIST = readFileSync(new URL('../fixtures/leap-seconds.list', import.meta.url), 'latin1');
const read = (files: Record<string, string>) => readSystemLeapTable(simulatedHost({ files }).files);

test('the first table in the order of likelihood is taken', () => {
  const paths = ['/etc/leap-seconds.list', '/usr/share/zoneinfo/leap-seconds.list'];
  expect(read(Object.fromEntries(paths.map((path) => [path, LIST]))).path).toBe(paths[1]);
  expect(read({ '/etc/leap-seconds.list': LIST })).toMatchObject({ path: '/etc/leap-seconds.list' });
});

test('no table is ERR_FILE that names the places', () => {
  expect(() => read({})).toThrow(expect.objectContaining({ code: 'ERR_FILE', todo: 'install tzdata' }));
  expect(() => read({})).toThrow('/usr/share/zoneinfo/leap-seconds.list');
});

test('a malformed table is told as such, not passed over', () => {
  const files = { '/usr/share/zoneinfo/leap-seconds.list': 'junk\n', '/etc/leap-seconds.list': LIST };
  expect(() => read(files)).toThrow(expect.objectContaining({ code: 'ERR_BAD_LEAP_TABLE' }));
});
