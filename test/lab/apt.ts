import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CannotRun, hasProgram, outputOf, ProgramFailed } from './programs.ts';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const FRESH_MS = 24 * 3600 * 1000;
/** Names under which a machine's own release may stand in its sources, beside its codename. */
const SUITES = ['stable', 'oldstable', 'oldoldstable', 'testing', 'unstable', 'sid'];

/** A Debian archive as this machine's apt is set up to reach it. */
export interface Mirror {
  uri: string;
  /** The machine's own release; empty where it does not tell. */
  codename: string;
}

/**
 * The mirror of a release, of what `apt-get update --print-uris` prints. Others than Debian offer packages for the same
 * release: Debian's own is told by its updates.
 */
export function mirrorUri(printed: string, codename: string): string | undefined {
  const indexes = [...printed.matchAll(/^'(\S+\/)dists\/([^/\s]+)\/InRelease'/gm)].map(
    ([, uri = '', release = '']) => ({ uri, release }),
  );
  const own = indexes.filter(({ release }) => release === codename || SUITES.includes(release));
  const withUpdates = own.find(({ uri, release }) =>
    indexes.some((other) => other.uri === uri && other.release === `${release}-updates`),
  );
  return (withUpdates ?? own[0])?.uri;
}

/**
 * The mirror that this machine is set up with, by apt's own configuration. Throws {@link CannotRun} on a machine that
 * has none.
 */
export function machineMirror(): Mirror {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const codename = /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1] ?? '';
  const printed = hasProgram('apt-get') ? `${outputOf('apt-get', ['update', '--print-uris'])}` : '';
  const uri = mirrorUri(printed, codename);
  if (uri === undefined || !existsSync(KEYRING)) {
    throw new CannotRun(
      'this machine is not set up with a Debian mirror and its keys; give kernels of your own (--kernel FILE)',
    );
  }
  return { uri, codename };
}

/** Some releases of a mirror, with lists and a cache of their own. */
export class Archive {
  readonly #options: readonly string[];
  readonly #folder: string;
  readonly #mirror: Mirror;
  readonly #sources: string;

  /**
   * @param isForMachine whether packages are to be installed on this machine; otherwise the archive knows of nothing
   *   that is installed, and shows what the mirror has and no more
   */
  constructor(mirror: Mirror, releases: readonly string[], folder: string, isForMachine: boolean) {
    this.#mirror = mirror;
    this.#folder = folder;
    for (const part of ['lists/partial', 'state', 'cache/archives/partial']) {
      mkdirSync(join(folder, part), { recursive: true });
    }
    const file = join(folder, 'sources.list');
    this.#sources = releases
      .map((release) => `deb [signed-by=${KEYRING}] ${mirror.uri} ${release} main\n`)
      .join('');
    writeFileSync(file, this.#sources);
    const status = join(folder, 'state/status');
    if (!isForMachine) writeFileSync(status, '');
    this.#options = [
      `Dir::Etc::sourcelist=${file}`,
      'Dir::Etc::sourceparts=/dev/null',
      `Dir::State::lists=${join(folder, 'lists')}`,
      `Dir::Cache=${join(folder, 'cache')}`,
      ...(isForMachine ? [] : [`Dir::State=${join(folder, 'state')}`, `Dir::State::status=${status}`]),
      // A mirror that cannot be reached, or is not signed, is an error and not a warning.
      'APT::Update::Error-Mode=any',
      'APT::Get::AllowUnauthenticated=false',
      'Acquire::AllowInsecureRepositories=false',
      'Acquire::Languages=none',
      'Acquire::Retries=1',
      'Acquire::http::Timeout=20',
      'Acquire::https::Timeout=20',
    ].flatMap((option) => ['-o', option]);
  }

  /** Fetches the lists if they are not of the last 24 hours, or must be newer. Throws {@link CannotRun}. */
  update(mustBeNew = false): void {
    const stamp = join(this.#folder, 'updated');
    if (!mustBeNew && existsSync(stamp) && readFileSync(stamp, 'utf8') === this.#sources) {
      const age = Date.now() - statSync(stamp).mtimeMs;
      if (age >= 0 && age < FRESH_MS) return;
    }
    this.#asked(['-q', 'update']);
    writeFileSync(stamp, this.#sources);
  }

  /** All packages whose names begin so. */
  packages(prefix: string): string[] {
    return `${outputOf('apt-cache', [...this.#options, 'pkgnames', prefix])}`.split('\n').filter(Boolean);
  }

  /** Fetches packages into a folder; apt holds each against the signed lists. Throws {@link CannotRun}. */
  download(packages: readonly string[], into: string): void {
    this.#asked(['-q', 'download', ...packages], into);
  }

  /** Installs packages on this machine, and what they depend on; nothing is removed for them. Throws {@link CannotRun}. */
  install(packages: readonly string[], release: string): void {
    const command = ['-q', '-y', '-t', release, '--no-remove', '--no-install-recommends', 'install'];
    this.#asked([...command, '--download-only', ...packages]);
    outputOf('apt-get', [...this.#options, ...command, ...packages], {
      environment: { DEBIAN_FRONTEND: 'noninteractive' },
      // Cut off, it would leave packages half configured.
      limitMs: 0,
    });
  }

  /** Has apt fetch something. Throws {@link CannotRun} when it does not get it. */
  #asked(arguments_: readonly string[], cwd?: string): void {
    try {
      outputOf('apt-get', [...this.#options, ...arguments_], cwd === undefined ? {} : { cwd });
    } catch (error) {
      if (!(error instanceof ProgramFailed)) throw error;
      const why = error.complaint.trim() || error.message;
      throw new CannotRun(`the mirror ${this.#mirror.uri} cannot be reached, or not trusted\n${why}`);
    }
  }
}
