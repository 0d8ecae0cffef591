import { join } from 'node:path';
import { Archive, type Mirror } from './apt.ts';
import { CannotRun, hasProgram, outputOf } from './programs.ts';

/** The verdicts were written down with QEMU 10; older ones emulate other machines. */
const LEAST_MAJOR = 10;
const NEEDED = ['qemu-system-x86', 'cpio'];

/** Sees to it that QEMU and cpio can be run, and installs them on Debian bookworm as root. Throws {@link CannotRun}. */
export function provideQemu(mirror: () => Mirror, folder: string): void {
  const isNew = hasProgram('qemu-system-x86_64') && Number.parseFloat(qemuVersion()) >= LEAST_MAJOR;
  if (isNew && hasProgram('cpio')) return;
  const missing = [
    ...(isNew ? [] : [`qemu-system-x86_64 ${LEAST_MAJOR} or later`]),
    ...(hasProgram('cpio') ? [] : ['cpio']),
  ].join(' and ');
  const isBookworm = hasProgram('apt-get') && mirror().codename === 'bookworm';
  if (!isBookworm) throw new CannotRun(`install ${missing}`);
  if (process.getuid?.() !== 0) throw new CannotRun(`install ${missing}, or run this as root`);
  // These lists alone, and not the machine's: then nothing that is installed is upgraded beside.
  const releases = ['bookworm', 'bookworm-updates', 'bookworm-backports'];
  const archive = new Archive(mirror(), releases, join(folder, 'qemu-apt'), true);
  archive.update();
  archive.install(NEEDED, 'bookworm-backports');
}

/** `10.0.2`. */
export function qemuVersion(): string {
  const told = `${outputOf('qemu-system-x86_64', ['--version'])}`;
  return /version ([\d.]+)/.exec(told)?.[1] ?? '0';
}
