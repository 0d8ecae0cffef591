import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { openBtf } from '../../lib/host/btf.ts';
import { layoutsFromBtf } from '../../lib/host/btf-layout.ts';
import { compareLayouts, type KernelPageLayout, KNOWN_LAYOUTS } from '../../lib/page/kernel-layout.ts';
import { trimmedBtf } from './subjects.ts';
import { BTF_NAMES, btfFields, trimBtf } from './trim-btf.ts';
import { wholeBtf } from './whole-btf.ts';

const SAMPLE = new URL('samples/btf-6.18.bin', import.meta.url);
const EXAMPLES_OF_EACH_KIND = 10;

const { bytes: whole, reason } = wholeBtf();
const skipped = reason === null ? '' : ` (skipped: ${reason})`;

// To make the sample anew, on a 6.18 kernel: LATCHCLOCK_FUZZ_TRIM=1 npx vitest run test/fuzz/trim-btf.test.ts
if (process.env['LATCHCLOCK_FUZZ_TRIM'] === '1') {
  writeFileSync(SAMPLE, trimBtf(whole, BTF_NAMES, EXAMPLES_OF_EACH_KIND));
}

test('the sample describes the clock page of 6.18 and has at most 32 KiB', () => {
  const sample = Uint8Array.from(readFileSync(SAMPLE));
  expect(sample.length).toBeLessThanOrEqual(32 << 10);
  const [layout] = layoutsFromBtf(openBtf(sample));
  expect(compareLayouts(layout as KernelPageLayout, KNOWN_LAYOUTS.at(-1) as KernelPageLayout)).toEqual([]);
});

test('trimming what is trimmed changes nothing', () => {
  expect(trimBtf(trimmedBtf, BTF_NAMES, 0xffff_ffff)).toEqual(trimmedBtf);
});

test('fields lie inside the sample, four bytes or one', () => {
  const fields = btfFields(trimmedBtf, BTF_NAMES);
  expect(fields.length).toBeGreaterThan(500);
  expect(fields.every(({ at, size }) => at >= 0 && at + size <= trimmedBtf.length)).toBe(true);
});

test.skipIf(reason !== null)(`what is kept of this kernel reads as it does in the whole${skipped}`, () => {
  const [all, kept] = [whole, trimBtf(whole, BTF_NAMES, EXAMPLES_OF_EACH_KIND)].map(openBtf);
  for (const name of BTF_NAMES) expect(kept?.struct(name)).toEqual(all?.struct(name));
});
