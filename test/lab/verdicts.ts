/** What a check of `validate` said. */
export interface Said {
  id: string;
  status: string;
  reason: string;
}

/** By check, the verdicts that it may have: `pass`, or some of which luck decides: `pass|warn`. */
export type Verdicts = Readonly<Record<string, string>>;

/**
 * On one emulated CPU whose clocksource is the TSC, of the checks of the kernel's own things, and of threads on a page of
 * ours: what kernels differ in.
 */
export const ONE_CPU: Verdicts = {
  // Emulation offers no invariant TSC: a pass would be a lie.
  'counter.invariant': 'warn',
  'counter.frequency': 'pass',
  'counter.granularity': 'pass',
  'counter.order': 'pass',
  'counter.warp': 'skip',
  'counter.offset': 'skip',
  'counter.stability': 'pass',
  'clock.paths': 'pass',
  'clock.calls': 'pass',
  'clock.fields': 'pass',
  'clock.monotonic': 'pass',
  // A busy host keeps the emulator, and so the guest's tick, waiting.
  'clock.resolution': 'pass|warn',
  'clock.coarse': 'pass|warn',
  'clock.relations': 'pass',
  'clock.errors': 'pass',
  'vdso.image': 'pass',
  'vdso.symbols': 'pass',
  'vdso.fast': 'pass',
  'page.layout': 'pass',
  'page.exact': 'pass',
  'page.namespace': 'pass',
  'page.faults': 'pass',
  // A busy host keeps the recorder's thread from its CPU.
  'page.updates': 'pass|warn',
  // On an emulated CPU the moment that is looked for may not come.
  'latch.stress': 'pass|skip',
  'latch.window': 'pass|skip',
  'latch.stall': 'pass|skip',
  'latch.kernel': 'pass',
};

/** Checks of the timekeeper in JavaScript, which emulation makes thirty times as slow: they may lack readings. */
const OF_THE_TIMEKEEPER: Verdicts = {
  'smear.phases': 'pass|skip',
  'smear.window': 'skip',
  'smear.kernel': 'pass|skip',
  'schedule.frequency': 'pass|warn|skip',
  'schedule.leap': 'pass|skip',
  'preference.switch': 'pass|skip',
  'namespace.offsets': 'pass',
};

/** The same of all checks. */
export const ONE_CPU_WHOLE: Verdicts = { ...ONE_CPU, ...OF_THE_TIMEKEEPER };

/** The groups of {@link ONE_CPU}. */
export const KERNEL_GROUPS = 'counter,clock,vdso,page,latch';

/** Where there are two CPUs to hold against each other. */
export const TWO_CPUS: Verdicts = { 'counter.warp': 'pass', 'counter.offset': 'pass|warn' };

/** Where the clocksource is not the TSC: every clock is a system call, and the page tells the coarse ones only. */
export const NOT_BY_TSC: Verdicts = {
  'vdso.fast': 'fail',
  'page.exact': 'skip',
  'page.updates': 'skip',
  'latch.kernel': 'skip',
};

/** What was said against what may be: one line a difference. A check that is not expected, or missing, is one. */
export function differences(said: readonly Said[], expected: Verdicts): string[] {
  const unexpected = said.flatMap(({ id, status, reason }) => {
    const allowed = expected[id];
    return allowed?.split('|').includes(status) === true
      ? []
      : [`${id} is ${status} (${reason}), expected: ${allowed ?? 'no such check'}`];
  });
  const missing = Object.keys(expected)
    .filter((id) => !said.some((one) => one.id === id))
    .map((id) => `${id} is missing, expected: ${expected[id]}`);
  return [...unexpected, ...missing];
}
