import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import { type Boot, Machine } from './machine.ts';

const SHORT_MS = 15_000;
const LIMIT_MS = 120_000;

async function withMachine(boot: Boot, work: (machine: Machine) => Promise<void>): Promise<void> {
  const machine = await Machine.boot(boot);
  try {
    await work(machine);
  } finally {
    await machine.end();
  }
}

// What befalls a guest is told of it, and its console is kept; the run goes on with the others.
describe.each(inject('lab').kernels.slice(0, 1))('$name, in trouble', ({ image }) => {
  const consoleOf = (name: string): string => join(inject('lab').consoles, `troubled-${name}.log`);
  const booted = (name: string): Boot => ({
    kernel: image,
    initramfs: inject('lab').initramfs,
    cpus: 1,
    console: consoleOf(name),
  });

  test(
    'a guest that panics is told of with the reason, and its console is kept',
    async () => {
      // No first process is found, and no root file system to look for another on.
      const panics = Machine.boot({ ...booted('panics'), parameters: ['rdinit=/nothing'] });
      await expect(panics).rejects.toThrow(
        /the guest ended \(Kernel panic - not syncing: .*its console, kept in/s,
      );
      expect(readFileSync(consoleOf('panics'), 'utf8')).toMatch('Kernel panic');
    },
    LIMIT_MS,
  );

  test(
    'a guest that hangs is ended when its time is over, with the end of its console',
    async () => {
      const hangs = Machine.boot({
        ...booted('hangs'),
        parameters: ['rdinit=/usr/bin/cat'],
        limitMs: SHORT_MS,
      });
      await expect(hangs).rejects.toThrow(/the guest did not boot in 15 s.*\n.*\n.*\[ +\d+\.\d+\]/s);
    },
    LIMIT_MS,
  );

  test(
    'a machine that cannot be is told of in the words of QEMU',
    async () => {
      const absent = Machine.boot({ ...booted('absent'), kernel: '/nothing' });
      await expect(absent).rejects.toThrow(/the guest ended.*\nQEMU: .*\/nothing/s);
    },
    LIMIT_MS,
  );

  test(
    'a command that does not end is late, one that crashes was killed, and the guest goes on',
    async () => {
      await withMachine(booted('commands'), async (machine) => {
        const loop = ['sh', '-c', 'echo begun; while :; do :; done'];
        expect(await machine.run(loop, 2)).toEqual({ how: 'late', code: 9, out: 'begun\n', err: '' });
        expect(await machine.run(['sh', '-c', 'kill -SEGV $$'], 9)).toMatchObject({
          how: 'killed',
          code: 11,
        });
        expect(await machine.run(['nothing'], 9)).toMatchObject({ how: 'exited', code: 127 });
        expect(await machine.run(['sh', '-c', 'printf %0100000d 0'], 30)).toEqual({
          how: 'exited',
          code: 0,
          out: '0'.repeat(100_000),
          err: '',
        });
      });
    },
    LIMIT_MS,
  );

  test(
    'a guest whose kernel dies under a command is told of with the reason',
    async () => {
      await withMachine(booted('dies'), async (machine) => {
        const dies = machine.run(['sh', '-c', 'echo c > /proc/sysrq-trigger'], 30);
        await expect(dies).rejects.toThrow(/the guest ended \(Kernel panic - not syncing: sysrq/);
        // And so is every later command, at once.
        await expect(machine.run(['cat'], 30)).rejects.toThrow(/Kernel panic - not syncing: sysrq/);
      });
    },
    LIMIT_MS,
  );
});
