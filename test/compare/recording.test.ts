import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatRecording, parseRecording } from '../../lib/compare/recording.ts';
import { isLatchclockError } from '../../lib/errors.ts';
import type { RecordedPage } from '../../lib/host/page-recording.ts';
import { KernelWriter } from '../support/kernel-writer.ts';

function states(): RecordedPage[] {
  const writer = new KernelWriter();
  return Array.from({ length: 4 }, () => {
    const snapshot = writer.tick(writer.interval);
    return { snapshot, before: snapshot.main.cycleLast + 5n, after: snapshot.main.cycleLast + 9n };
  });
}

const TEXT = formatRecording({ kernel: '6.18.44', hz: 250, states: states() });
const LINES = TEXT.trimEnd().split('\n');

function refusal(text: string): string {
  try {
    parseRecording(text, 'pages.jsonl');
  } catch (error) {
    if (isLatchclockError(error, 'ERR_BAD_RECORDING')) return error.message;
    throw error;
  }
  return 'taken';
}

/** The text with the second state's words changed. */
function withWords(words: Record<string, unknown>): string {
  const line = { ...JSON.parse(LINES[2] as string), ...words };
  return `${[LINES[0], LINES[1], JSON.stringify(line), LINES[3]].join('\n')}\n`;
}

describe('a recording', () => {
  test('comes back as it was, but for what its lines do not have: mask and resolution', () => {
    const { kernel, hz, states: found } = parseRecording(TEXT, 'pages.jsonl');
    expect([kernel, hz]).toEqual(['6.18.44', 250]);
    const bare = states().map(({ snapshot, ...rest }) => ({
      ...rest,
      snapshot: { ...snapshot, main: { ...snapshot.main, mask: null }, raw: { ...snapshot.raw, mask: null } },
    }));
    expect(found).toEqual(bare);
  });

  test('has a header and a line a state, all 64-bit numbers as decimal strings', () => {
    expect(JSON.parse(LINES[0] as string)).toEqual({
      schema: 'latchclock/pages/1',
      kernel: '6.18.44',
      hz: 250,
    });
    expect(LINES).toHaveLength(5);
    const line = JSON.parse(LINES[1] as string);
    for (const name of ['seq', 'cycleLast', 'mult', 'multRaw', 'before', 'after'])
      expect(typeof line[name]).toBe('string');
    for (const name of ['mode', 'shift']) expect(typeof line[name]).toBe('number');
    for (const name of [
      'realtime',
      'monotonic',
      'raw',
      'realtimeCoarse',
      'monotonicCoarse',
      'boottime',
      'tai',
    ])
      expect(line[name]).toEqual([expect.stringMatching(/^-?\d+$/), expect.stringMatching(/^\d+$/)]);
  });

  test('is taken with words that it does not know, and without maxCycles', () => {
    expect(refusal(withWords({ maxCycles: undefined, more: 1 }))).toBe('taken');
  });

  test.each([
    ['an empty file', '', 'line 1'],
    ['another version', TEXT.replace('pages/1', 'pages/2'), 'pages/2'],
    ['no recording at all', 'hello\n', 'no JSON'],
    ['a file that was cut short', TEXT.slice(0, -20), 'cut short'],
    ['a file that was cut short at a line', `${LINES.slice(0, 2).join('\n')}\n`, '1 states'],
    ['a header alone', `${LINES[0]}\n`, '0 states'],
    ['an array for a line', `${LINES[0]}\n[1]\n[2]\n`, 'line 2'],
    ['a rate that no kernel has', TEXT.replace('"hz":250', '"hz":0'), 'hz'],
    ['a number for a string', withWords({ seq: 4 }), 'seq is 4'],
    ['a count beyond 32 bits', withWords({ seq: '4294967296' }), 'seq'],
    ['a hexadecimal number', withWords({ cycleLast: '0x10' }), 'cycleLast'],
    ['a shift of 64', withWords({ shift: 64 }), 'shift'],
    ['no mode', withWords({ mode: undefined }), 'mode is nothing'],
    ['a mult of 0', withWords({ multRaw: '0' }), 'multRaw'],
    ['three parts of a base time', withWords({ tai: ['1', '2', '3'] }), 'tai'],
    ['an end before the start', withWords({ before: '5', after: '4' }), 'after'],
  ])('is refused for %s, with the place', (_, text, told) => {
    expect(refusal(text)).toContain(told);
    expect(refusal(text)).toContain('pages.jsonl');
  });

  test('is never taken for more than it is, nor refused with another error, whatever byte is changed', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: TEXT.length - 1 }),
        fc.constantFrom('0', '9', '-', '"', '}', '\n', ' ', 'x'),
        (at, byte) => {
          refusal(TEXT.slice(0, at) + byte + TEXT.slice(at + 1));
          refusal(TEXT.slice(0, at));
        },
      ),
    );
  });
});
