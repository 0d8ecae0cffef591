import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Archive, type Mirror } from './apt.ts';
import { removeLeftovers } from './leftovers.ts';
import { CannotRun, outputOf } from './programs.ts';

/** A kernel that the lab boots. */
export interface Kernel {
  /** Short: `6.12`, or the name of a file of one's own. */
  name: string;
  /** Path of its image. */
  image: string;
}

/** Debian's releases, and what their kernels' versions begin with; of sid the newest, whatever it is. */
const RELEASES = [
  { release: 'bullseye', version: '5.10' },
  { release: 'bookworm', version: '6.1' },
  { release: 'trixie', version: '6.12' },
  { release: 'sid', version: null },
] as const;

/** Up to 6.12 a package holds image and modules; later ones are two, and the image is in the first. */
const IMAGE_PACKAGE = /^linux-(?:image|binary)-(\d+\.\d+)(\..*)-cloud-amd64$/;

const asVersions = new Intl.Collator('en', { numeric: true });

/** The package with the newest kernel of a version, or of all versions: `5.10`, `null`. */
export function newestPackage(packages: readonly string[], version: string | null): string | undefined {
  const versionOf = (name: string): string => {
    const [, line = '', rest = ''] = IMAGE_PACKAGE.exec(name) ?? [];
    return `${line}${rest}`;
  };
  return packages
    .filter((name) => {
      const found = IMAGE_PACKAGE.exec(name);
      return found !== null && (version === null || found[1] === version);
    })
    .toSorted((a, b) => asVersions.compare(versionOf(a), versionOf(b)))
    .at(-1);
}

/** The packages to fetch for an image's: itself, and where they are apart its modules, for guests that need a driver. */
export function packagesOf(imagePackage: string): string[] {
  return imagePackage.startsWith('linux-binary-')
    ? [imagePackage, imagePackage.replace('linux-binary-', 'linux-modules-')]
    : [imagePackage];
}

/**
 * Debian's cloud kernels, or of these the oldest and the newest alone, fetched into `folder` unless they are there.
 * Throws {@link CannotRun} when the mirror cannot be reached, or has none.
 */
export function debianKernels(mirror: Mirror, folder: string, ends: boolean): Kernel[] {
  const releases = RELEASES.map(({ release }) => release);
  const archive = new Archive(mirror, releases, join(folder, 'kernels-apt'), false);
  const wanted = RELEASES.filter((_, index) => !ends || index === 0 || index === RELEASES.length - 1);
  const into = join(folder, 'kernels');
  archive.update();
  let kernels: Kernel[];
  try {
    kernels = wanted.map((of) => fetched(archive, of, into));
  } catch {
    // sid replaces its kernel under the lists of this morning.
    archive.update(true);
    kernels = wanted.map((of) => fetched(archive, of, into));
  }
  if (!ends) {
    const used = new Set(kernels.map(({ image }) => basename(dirname(image))));
    removeLeftovers(into, (name) => !used.has(name));
  }
  return kernels;
}

function fetched(archive: Archive, { release, version }: (typeof RELEASES)[number], folder: string): Kernel {
  const packages = ['linux-image-', 'linux-binary-'].flatMap((prefix) => archive.packages(prefix));
  const imagePackage = newestPackage(packages, version);
  if (imagePackage === undefined) throw new CannotRun(`the mirror has no cloud kernel of ${release}`);
  const name = version ?? (IMAGE_PACKAGE.exec(imagePackage)?.[1] as string);
  const image = join(folder, imagePackage, 'vmlinuz');
  if (existsSync(image)) return { name, image };

  // Beside its place until it is whole: a run that is ended, or another one, finds all of a kernel or nothing.
  mkdirSync(folder, { recursive: true });
  const part = mkdtempSync(join(folder, 'part-'));
  try {
    archive.download(packagesOf(imagePackage), part);
    const deb = readdirSync(part).find((file) => file.startsWith(`${imagePackage}_`));
    writeFileSync(join(part, 'vmlinuz'), imageOf(join(part, deb as string)));
    rmSync(join(part, deb as string));
    renameSync(part, dirname(image));
  } catch (error) {
    // Another run has put the same kernel there.
    if (!existsSync(image)) throw error;
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
  return { name, image };
}

/** The kernel's image in a package. */
function imageOf(deb: string): Buffer {
  const files = outputOf('dpkg-deb', ['--fsys-tarfile', deb]);
  const names = `${outputOf('tar', ['--list'], { input: files })}`.split('\n');
  const member = names.find((name) => /\/vmlinuz(?:-[^/]*)?$/.test(name));
  if (member === undefined) throw new Error(`${deb} holds no vmlinuz`);
  return outputOf('tar', ['--extract', '--to-stdout', member], { input: files });
}

/** Kernels of one's own, called as their files are. Throws {@link CannotRun} for one that is not there, or a name twice. */
export function ownKernels(images: readonly string[]): Kernel[] {
  const kernels = images.map((image) => ({
    name: basename(image).replace(/^(?:vmlinuz|bzImage)-(?=.)/, ''),
    image,
  }));
  for (const [index, { name, image }] of kernels.entries()) {
    if (!existsSync(image)) throw new CannotRun(`there is no kernel ${image}`);
    const twin = kernels.slice(0, index).find((other) => other.name === name);
    if (twin !== undefined)
      throw new CannotRun(`${twin.image} and ${image} are both called ${name}: rename one`);
  }
  return kernels;
}
