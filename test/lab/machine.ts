import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Wire, WireEnded } from './wire.ts';

/** What to boot, and as what machine. */
export interface Boot {
  /** Paths of the kernel's image and of an initramfs that `image.ts` made. */
  kernel: string;
  initramfs: string;
  cpus: number;
  /**
   * Whether the CPUs run at once, each in a thread of its own, or by turns in one. At once, QEMU's counter is not
   * sound: two threads that read it together push it ahead of QEMU's own clock, by up to some 700 ppm.
   */
  atOnce?: boolean;
  /** Added to the kernel's command line. */
  parameters?: readonly string[];
  /** Added to QEMU's. */
  devices?: readonly string[];
  /** The file that the console is kept in. */
  console: string;
  /** How long it may take until the guest takes commands, in milliseconds of this machine. */
  limitMs?: number;
}

/** How a command of a guest ended, and all that it printed. */
export interface CommandResult {
  /** `late`: its time ran out, and it was killed. */
  how: 'exited' | 'killed' | 'late';
  /** Its exit code, or the signal's number. */
  code: number;
  out: string;
  err: string;
}

const MEMORY_MIB = 1024;
/** How long booting and ending may take at the most. */
export const BOOT_LIMIT_MS = 90_000;
export const END_LIMIT_MS = 15_000;
/** Beyond a command's own limit, for a guest that says nothing any more. */
export const SILENCE_MS = 30_000;
const CONSOLE_LINES_SHOWN = 20;

/** In QEMU's options a comma ends a value, unless there are two. */
const escaped = (value: string): string => value.replaceAll(',', ',,');

/**
 * One guest under QEMU's emulation: booted, given commands one after another, and ended. Its first serial port is
 * the console, kept in a file; commands and results go over the second (the words are in `guest/init.c`).
 *
 * Every wait is bounded. What a guest that panicked or hangs said last on its console is in the error.
 */
export class Machine {
  readonly #boot: Boot;
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #folder: string;
  readonly #server: Server;
  #socket: Socket | null = null;
  #wire: Wire | null = null;
  #complaints = '';
  /** What went wrong: nothing after it can be trusted, an answer least of all, which may be to an earlier command. */
  #failure: Error | null = null;

  private constructor(boot: Boot) {
    this.#boot = boot;
    this.#folder = mkdtempSync(join(tmpdir(), 'latchclock-lab-'));
    this.#server = createServer();
    const results = join(this.#folder, 'results');
    this.#server.listen(results);
    // The machine must not outlive the test that booted it, whatever ends that.
    this.#process = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...qemuArguments(boot, results)],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.#process.stderr?.on('data', (chunk: Buffer) => {
      this.#complaints += chunk;
    });
    this.#ended = new Promise((resolve) => {
      // When all that it said has come, too.
      this.#process.once('close', () => resolve());
      this.#process.once('error', (error) => {
        this.#complaints += error.message;
        resolve();
      });
    });
  }

  /** Boots a guest, and waits until it takes commands. Throws if it panics, ends or takes too long. */
  static async boot(boot: Boot): Promise<Machine> {
    const machine = new Machine(boot);
    const limitMs = boot.limitMs ?? BOOT_LIMIT_MS;
    try {
      const ready = machine.#connected().then((wire) => wire.line());
      const line = await machine.#bounded(ready, limitMs, `did not boot in ${limitMs / 1000} s`);
      if (line !== 'READY') throw new Error(machine.#told(`said ${JSON.stringify(line)} instead of READY`));
      return machine;
    } catch (error) {
      await machine.#kill();
      throw error;
    }
  }

  /**
   * Runs one command to its end, at most so many seconds of the guest's. A guest that ends meanwhile, or gives no answer in
   * time, is lost: the machine is ended, and this and every later command throws what became of it.
   */
  async run(command: readonly string[], limitSec: number): Promise<CommandResult> {
    if (this.#failure !== null) throw this.#failure;
    if (this.#wire === null) throw new Error('the machine takes no commands');
    if (command.some((argument) => argument.includes('\n'))) throw new Error('a line break in an argument');
    this.#socket?.write(`RUN ${limitSec} ${command.length}\n${command.map((one) => `${one}\n`).join('')}`);
    const late = `said nothing on ${command.join(' ')}`;
    try {
      return await this.#bounded(this.#result(this.#wire), 1000 * limitSec + SILENCE_MS, late);
    } catch (error) {
      this.#failure = error as Error;
      await this.#kill();
      throw error;
    }
  }

  /** Has the guest power off; after a while without it ends the process. */
  async end(): Promise<void> {
    this.#socket?.write('END\n');
    await Promise.race([this.#ended, sleep(END_LIMIT_MS, undefined, { ref: false })]);
    await this.#kill();
  }

  async #connected(): Promise<Wire> {
    const [socket] = (await once(this.#server, 'connection')) as [Socket];
    this.#socket = socket;
    this.#wire = new Wire(socket);
    return this.#wire;
  }

  async #result(wire: Wire): Promise<CommandResult> {
    const line = await wire.line();
    const found = /^DONE (exited|killed|late) (\d+) (\d+) (\d+)$/.exec(line);
    if (found === null) throw new Error(this.#told(`said ${JSON.stringify(line)} instead of a result`));
    const [, how, code, outBytes, errBytes] = found;
    const out = await wire.bytes(Number(outBytes));
    const err = await wire.bytes(Number(errBytes));
    return { how: how as CommandResult['how'], code: Number(code), out: `${out}`, err: `${err}` };
  }

  /** What `work` gives, or an error when the machine ends before, or so much time is over. */
  async #bounded<Value>(work: Promise<Value>, limitMs: number, late: string): Promise<Value> {
    const over = new AbortController();
    const ended = this.#ended.then(() => {
      throw new Error(this.#told('ended'));
    });
    try {
      return await Promise.race([
        // The stream ends a moment before the process: that it ended is what is to be told.
        work.catch((error) => (error instanceof WireEnded ? ended : Promise.reject(error))),
        ended,
        sleep(limitMs, undefined, { signal: over.signal }).then(() => {
          throw new Error(this.#told(late));
        }),
      ]);
    } finally {
      over.abort();
    }
  }

  /** An error's text: what the guest did, why the kernel says it panicked if it did, and its last lines. */
  #told(what: string): string {
    const console = readConsole(this.#boot.console);
    const panic = /Kernel panic - not syncing: .*/.exec(console)?.[0];
    const lines = console.trimEnd().split('\n').slice(-CONSOLE_LINES_SHOWN);
    return [
      `the guest ${what}${panic === undefined ? '' : ` (${panic})`}`,
      ...(this.#complaints === '' ? [] : [`QEMU: ${this.#complaints.trim()}`]),
      `its console, kept in ${this.#boot.console}, ends with:`,
      ...lines.map((line) => `  ${line}`),
    ].join('\n');
  }

  async #kill(): Promise<void> {
    if (this.#process.pid !== undefined && this.#process.exitCode === null) this.#process.kill('SIGKILL');
    await this.#ended;
    this.#socket?.destroy();
    this.#server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function qemuArguments(boot: Boot, results: string): string[] {
  const parameters = ['console=ttyS0', 'panic=-1', ...(boot.parameters ?? [])];
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-accel', `tcg,thread=${boot.atOnce === true ? 'multi' : 'single'}`],
    ...['-cpu', 'max', '-smp', `${boot.cpus}`, '-m', `${MEMORY_MIB}`],
    ...['-kernel', boot.kernel, '-initrd', boot.initramfs, '-append', parameters.join(' ')],
    ...['-chardev', `file,id=console,path=${escaped(boot.console)}`, '-serial', 'chardev:console'],
    ...['-chardev', `socket,id=results,path=${escaped(results)}`, '-serial', 'chardev:results'],
    ...(boot.devices ?? []),
  ];
}

function readConsole(file: string): string {
  try {
    return readFileSync(file, 'utf8').replaceAll('\r', '');
  } catch {
    return '(nothing)';
  }
}
