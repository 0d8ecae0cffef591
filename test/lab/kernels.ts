import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Archive, type Mirror } from './apt.ts';
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

/** The packages to fetch for an image's: itself, and its modules where they are apart. */
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
  const archive = new Archive(
    mirror,
    RELEASES.map(({ release }) => release),
    join(folder, 'kernels-apt'),
  );
  archive.update();
  const packages = ['linux-image-', 'linux-binary-'].flatMap((prefix) => archive.packages(prefix));
  const wanted = RELEASES.filter((_, index) => !ends || index === 0 || index === RELEASES.length - 1);
  return wanted.map(({ release, version }) => {
    const found = newestPackage(packages, version);
    if (found === undefined) throw new CannotRun(`${mirror.uri} has no cloud kernel of ${release}`);
    const name = version ?? (IMAGE_PACKAGE.exec(found)?.[1] as string);
    return { name, image: fetched(archive, found, join(folder, 'kernels')) };
  });
}

function fetched(archive: Archive, imagePackage: string, folder: string): string {
  const into = join(folder, imagePackage);
  const image = join(into, 'vmlinuz');
  if (existsSync(image)) return image;
  rmSync(into, { recursive: true, force: true });
  mkdirSync(into, { recursive: true });
  archive.download(packagesOf(imagePackage), into);
  const deb = readdirSync(into).find((file) => file.startsWith(`${imagePackage}_`));
  if (deb === undefined) throw new CannotRun(`apt-get download left no ${imagePackage} in ${into}`);
  const files = outputOf('dpkg-deb', ['--fsys-tarfile', join(into, deb)]);
  const names = `${outputOf('tar', ['--list'], { input: files })}`.split('\n');
  const member = names.find((name) => /\/vmlinuz(?:-[^/]*)?$/.test(name));
  if (member === undefined) throw new CannotRun(`${deb} holds no vmlinuz`);
  writeFileSync(`${image}.part`, outputOf('tar', ['--extract', '--to-stdout', member], { input: files }));
  renameSync(`${image}.part`, image);
  return image;
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
