import { describe, expect, test } from 'vitest';
import {
  counter,
  evaluate,
  kernelPage,
  kernelSegment,
  LatchclockError,
  openClock,
  validate,
} from '../lib/index.ts';

describe('the library', () => {
  test('counter.read gives cycles that go on, by each method', () => {
    let last = 0n;
    for (const method of ['lfence-rdtsc', 'rdtscp', 'lfence-rdtsc'] as const) {
      const cycles = counter.read(method);
      expect(cycles).toBeGreaterThan(last);
      last = cycles;
    }
    expect(counter.read('rdtsc')).toBeGreaterThan(0n);
  });

  test('counter.read refuses a method that is none', () => {
    expect(() => counter.read('rdmsr' as never)).toThrow(LatchclockError);
  });

  test('counter.info names the CPU', () => {
    expect(counter.info().cpuVendor).not.toBe('');
  });

  test('a snapshot, evaluated at the counter, gives what a clock gives', () => {
    const clock = openClock('monotonic');
    if (clock.path !== 'page') return;
    // An update between snapshot and clock moves the value by less than a cycle's length.
    const before = clock.now();
    const value = evaluate(kernelSegment(kernelPage.snapshot(), 'monotonic'), counter.read());
    const after = clock.now();
    expect(value).toBeGreaterThanOrEqual(before - 1n);
    expect(value).toBeLessThanOrEqual(after + 1n);
  });

  test('validate tells its progress, and ends when it is aborted', async () => {
    const controller = new AbortController();
    const seen: string[] = [];
    const report = await validate({
      only: ['vdso.image', 'counter.frequency'],
      signal: controller.signal,
      onProgress: ({ id, done, total }) => {
        seen.push(`${id} ${done}/${total}`);
        if (id === 'counter.frequency') controller.abort();
      },
    });
    expect(seen.slice(0, 2)).toEqual(['vdso.image 0/2', 'counter.frequency 1/2']);
    expect(report).toMatchObject({ interrupted: true, summary: { pass: 1, skip: 1 } });
  });

  test('validate rejects with ERR_BAD_ARGUMENT for a wrong option', async () => {
    await expect(validate({ only: ['nonsense'] })).rejects.toMatchObject({ code: 'ERR_BAD_ARGUMENT' });
    await expect(validate({ seed: -1n })).rejects.toMatchObject({ code: 'ERR_BAD_ARGUMENT' });
    await expect(validate({ cpus: [65_000] })).rejects.toMatchObject({ code: 'ERR_BAD_ARGUMENT' });
    await expect(validate({ budget: 'lavish' as never })).rejects.toMatchObject({ code: 'ERR_BAD_ARGUMENT' });
  });
});
