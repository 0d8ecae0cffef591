import { join } from 'node:path';
import { Archive, type Mirror } from './apt.ts';
import { CannotRun, hasProgram, outputOf } from './programs.ts';

/** The verdicts were written down with QEMU 10; older ones emulate other machines. */
const LEAST_MAJOR = 10;
const NEEDED = ['qemu-system-x86', 'cpio'];

/** Sees to it that QEMU and cpio can be run, and installs them on Debian bookworm as root. Throws {@link CannotRun}. */
export function provideQemu(mirror: () => Mirror, folder: string): void {
  const major = qemuMajor();
  if (major !== null && major >= LEAST_MAJOR && hasProgram('cpio')) return;
  const found = major === null ? 'none' : `QEMU ${major}`;
  const wanted = `QEMU ${LEAST_MAJOR} or later (qemu-system-x86_64) and cpio are needed; here is ${found}`;
  const { codename } = mirror();
  if (process.getuid?.() !== 0) throw new CannotRun(`${wanted}: install them, or run this as root`);
  if (codename !== 'bookworm') throw new CannotRun(`${wanted}: install ${NEEDED.join(' and ')}`);
  // These lists alone, and not the machine's: then nothing that is installed is upgraded beside.
  const releases = ['bookworm', 'bookworm-updates', 'bookworm-backports'];
  const archive = new Archive(mirror(), releases, join(folder, 'qemu-apt'));
  archive.update();
  archive.install(NEEDED, 'bookworm-backports');
}

/** `QEMU 10.0.2`. */
export function qemuVersion(): string {
  const told = `${outputOf('qemu-system-x86_64', ['--version'])}`;
  return `QEMU ${/version ([\d.]+)/.exec(told)?.[1] ?? 'of unknown version'}`;
}

function qemuMajor(): number | null {
  return hasProgram('qemu-system-x86_64') ? Number.parseInt(qemuVersion().slice('QEMU '.length), 10) : null;
}
