import type { VdsoElf } from '../host/elf.js';
import type { Host } from '../host/host.js';
import { findKernelMappings, PAGE_SIZE } from '../host/kernel-mappings.js';
import { noVdsoSentence, presenceCause, presenceRemedy, readPresenceFacts } from '../host/vdso-presence.js';
import type { VdsoText } from '../host/vdso-text.js';
import { describeReplacement, REPLACED_VDSO_ADVICE } from './clocksource-advice.js';
import { formatCount, plural } from './format.js';
import type { Check, Evidence } from './model.js';
import { judgeFastPath } from './vdso-fast.js';

function imageFaults(host: Host, base: bigint, size: number, elf: VdsoElf): string[] {
  const faults: string[] = [];
  const mapped = findKernelMappings(host.addon, host.files).vdso;
  if (mapped !== null && mapped.start !== base)
    faults.push('the auxiliary vector and the map of the process differ');
  if (base % BigInt(PAGE_SIZE) !== 0n) faults.push('the image is not aligned to a page');
  if (elf.loadSize > size) faults.push(`the image spans ${elf.loadSize} bytes, mapped are ${size}`);
  const { textRange } = elf;
  if (textRange === null) {
    faults.push('no part of the image is executable');
  } else {
    const outside = elf.symbols.filter(
      ({ type, defined, address, size: length }) =>
        type === 'function' && defined && (address < textRange.start || address + length > textRange.end),
    );
    for (const { name } of outside) faults.push(`${name} lies outside the executable part`);
  }
  return faults;
}

/** What the code was compared with: `the same as in process 1 and 5 more`. */
function comparedWith({ equalTo, differsFrom, notCompared }: VdsoText): string {
  if (notCompared !== null) return `its code was compared with no other: ${notCompared}`;
  const others = differsFrom.length === 0 ? '' : `, and unlike ${differsFrom.join(', ')}`;
  return `the same as in ${equalTo[0]}${equalTo.length > 1 ? ` and ${equalTo.length - 1} more` : ''}${others}`;
}

const image: Check = {
  id: 'vdso.image',
  claim:
    "The vDSO is a whole, well-formed ELF image where the kernel says it is, and its code is the kernel's",
  run({ host }) {
    const { base, size, elf } = host.vdso();
    const faults = imageFaults(host, base, size, elf);
    const text = host.vdsoText();
    const evidence: Evidence = {
      base: `0x${base.toString(16)}`,
      bytes: size,
      soname: elf.soname,
      buildId: elf.buildId,
      symbols: elf.symbols.length,
      faults,
      text,
    };
    const identity = elf.buildId === null ? '' : `, build ${elf.buildId.slice(0, 12)}`;
    if (faults.length === 0 && text.verdict === 'replaced') {
      return {
        status: 'fail',
        reason: `the code is not the kernel's${describeReplacement(text)}${identity}`,
        bound:
          'every byte of the mapped image was read, and the first instructions of each function looked at',
        evidence,
        advice: REPLACED_VDSO_ADVICE,
      };
    }
    const bound = `every byte of the mapped image was read; ${comparedWith(text)}`;
    if (faults.length === 0) {
      return { status: 'pass', reason: `${formatCount(size)} bytes${identity}`, bound, evidence };
    }
    return {
      status: 'fail',
      reason: faults[0] as string,
      bound,
      evidence,
      advice:
        'Something replaced or cut the vDSO (a sandbox, a checkpoint tool): programs may crash on clock reads.',
    };
  },
};

const REQUIRED = ['clock_gettime', 'gettimeofday', 'time', 'clock_getres', 'getcpu'];
const VERSION = 'LINUX_2.6';

const symbols: Check = {
  id: 'vdso.symbols',
  claim: 'The vDSO exports the clock functions, and the dynamic linker finds them where its ELF tables say',
  run({ host }) {
    const { base, elf } = host.vdso();
    const missing: string[] = [];
    const moved: string[] = [];
    const functions = REQUIRED.map((name) => {
      const symbol = `__vdso_${name}`;
      const inTable = elf.symbols.find((entry) => entry.name === symbol && entry.defined);
      const linked = host.addon.vdsoSymbol(symbol, VERSION);
      if (inTable === undefined || inTable.version !== VERSION) missing.push(symbol);
      else if (linked !== base + BigInt(inTable.address)) moved.push(symbol);
      return {
        symbol,
        version: inTable?.version ?? null,
        address: inTable === undefined ? null : `0x${inTable.address.toString(16)}`,
        linkedAt: linked === null ? null : `0x${(linked - base).toString(16)}`,
      };
    });
    const evidence: Evidence = { functions, missing, moved };
    const bound = `addresses compared exactly, version ${VERSION}`;
    if (missing.length === 0 && moved.length === 0) {
      return {
        status: 'pass',
        reason: `${plural(functions.length, 'function')}, ${VERSION}`,
        bound,
        evidence,
      };
    }
    const what =
      moved.length > 0 ? `the linker finds ${moved.join(', ')} elsewhere` : `without ${missing.join(', ')}`;
    return {
      status: moved.length > 0 ? 'fail' : 'warn',
      reason: what,
      bound,
      evidence,
      advice:
        moved.length > 0
          ? 'Calls do not reach the function that the kernel exports: look for preloaded libraries or instrumentation.'
          : 'What is missing goes through a system call instead: slower, not wrong.',
    };
  },
};

const fast: Check = {
  id: 'vdso.fast',
  claim: 'Reading a clock through the vDSO does not enter the kernel',
  run(context) {
    const { host } = context;
    if (host.addon.vdsoBase() === null) {
      const cause = presenceCause(readPresenceFacts(host.addon, host.files));
      const remedy = presenceRemedy(cause);
      return {
        status: 'fail',
        reason: `${noVdsoSentence(cause)}; every read of a clock is a system call`,
        bound: 'the auxiliary vector, the map of the process, the boot parameters and CPUID say so',
        evidence: { vdso: false, cause, bootParameters: host.clocksource().bootParameters },
        advice: `${remedy.charAt(0).toUpperCase()}${remedy.slice(1)}.`,
      };
    }
    return judgeFastPath(context);
  },
};

export const vdsoChecks: readonly Check[] = [image, symbols, fast];
