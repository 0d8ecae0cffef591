import { existsSync, mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CannotRun, outputOf } from './programs.ts';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const FRESH_MS = 24 * 3600 * 1000;

/** A Debian archive as this machine's apt is set up to reach it. */
export interface Mirror {
  uri: string;
  /** The machine's own release. */
  codename: string;
}

/**
 * The mirror that this machine is set up with, from apt's own configuration. Throws {@link CannotRun} on a machine
 * that has none.
 */
export function machineMirror(): Mirror {
  const codename = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  const sources = `${outputOf('apt-get', ['indextargets', '--format', '$(REPO_URI) $(RELEASE) $(COMPONENT)'])}`;
  const uri = sources
    .split('\n')
    .map((line) => line.split(' '))
    .find(([, release, component]) => release === codename && component === 'main')?.[0];
  if (codename === undefined || uri === undefined || !existsSync(KEYRING)) {
    throw new CannotRun(
      'this machine is not set up with a Debian mirror and its keys: give kernels of your own (--kernel FILE), ' +
        'and install QEMU',
    );
  }
  return { uri, codename };
}

/** Some releases of a mirror, with lists, state and cache of their own: nothing of the machine's apt changes. */
export class Archive {
  readonly #options: readonly string[];
  readonly #folder: string;
  readonly #mirror: Mirror;

  constructor(mirror: Mirror, releases: readonly string[], folder: string) {
    this.#mirror = mirror;
    this.#folder = folder;
    for (const part of ['lists/partial', 'state', 'cache/archives/partial']) {
      mkdirSync(join(folder, part), { recursive: true });
    }
    const sources = join(folder, 'sources.list');
    const lines = releases.map((release) => `deb [signed-by=${KEYRING}] ${mirror.uri} ${release} main\n`);
    writeFileSync(sources, lines.join(''));
    this.#options = [
      `Dir::Etc::sourcelist=${sources}`,
      'Dir::Etc::sourceparts=/dev/null',
      `Dir::State=${join(folder, 'state')}`,
      'Dir::State::status=/var/lib/dpkg/status',
      `Dir::State::lists=${join(folder, 'lists')}`,
      `Dir::Cache=${join(folder, 'cache')}`,
      // A mirror that cannot be reached, or is not signed, is an error and not a warning.
      'APT::Update::Error-Mode=any',
      'APT::Get::AllowUnauthenticated=false',
      'Acquire::AllowInsecureRepositories=false',
      'Acquire::Languages=none',
      'Acquire::Retries=1',
      'Acquire::http::Timeout=20',
    ].flatMap((option) => ['-o', option]);
  }

  /** Fetches the lists unless they are of today. Throws {@link CannotRun} when the mirror does not give them. */
  update(): void {
    const stamp = join(this.#folder, 'updated');
    const age = existsSync(stamp) ? Date.now() - statSync(stamp).mtimeMs : Number.POSITIVE_INFINITY;
    if (age >= 0 && age < FRESH_MS) return;
    try {
      outputOf('apt-get', [...this.#options, '-q', 'update']);
    } catch (error) {
      throw new CannotRun(`the mirror ${this.#mirror.uri} cannot be reached\n${(error as Error).message}`);
    }
    writeFileSync(stamp, '');
    utimesSync(stamp, new Date(), new Date());
  }

  /** All packages whose names begin so. */
  packages(prefix: string): string[] {
    return `${outputOf('apt-cache', [...this.#options, 'pkgnames', prefix])}`.split('\n').filter(Boolean);
  }

  /** Fetches packages into a folder; apt holds each against the signed lists. */
  download(packages: readonly string[], into: string): void {
    outputOf('apt-get', [...this.#options, '-q', 'download', ...packages], { cwd: into });
  }

  /** Installs packages on this machine, and what they depend on; nothing is removed for them. */
  install(packages: readonly string[], release: string): void {
    const careful = ['--no-remove', '--no-install-recommends'];
    outputOf('apt-get', [...this.#options, '-q', '-y', '-t', release, ...careful, 'install', ...packages], {
      environment: { DEBIAN_FRONTEND: 'noninteractive' },
    });
  }
}
