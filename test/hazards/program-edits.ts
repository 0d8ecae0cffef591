import type { ReaderRegister } from '../../lib/page/protocols/reading.ts';
import type { WriterRegister } from '../../lib/page/protocols/writing.ts';
import type { Program, Registers, Step } from '../../lib/page/steps.ts';

/** Those of a reader or of a writer. */
export type NamedRegisters = Registers<ReaderRegister | WriterRegister>;

/** A change of a program. Steps are named by their notes; one that is missing, or there twice, is an error. */
export type ProgramChange = (program: Program) => Program;

type Kind = Step['kind'];
type OfKind<K extends Kind> = Extract<Step, { kind: K }>;

function placeOf({ name, steps }: Program, note: string): number {
  const places = steps.flatMap((step, place) => (step.note === note ? [place] : []));
  const [place] = places;
  if (place === undefined || places.length > 1) {
    throw new RangeError(`${name}: '${note}' is there ${places.length} times`);
  }
  return place;
}

/**
 * `program` with other steps, an old one given by its old place. Branches go where they went; where that was left out, to
 * what came after it.
 */
function rebuilt(program: Program, order: readonly (number | Step)[]): Program {
  const places = new Map(order.flatMap((old, now) => (typeof old === 'number' ? [[old, now] as const] : [])));
  const placeNow = (old: number): number => {
    for (let place = old; place < program.steps.length; place++) {
      const now = places.get(place);
      if (now !== undefined) return now;
    }
    throw new RangeError(`${program.name}: nothing is left of step ${old}, nor behind it`);
  };
  const steps = order.map((one): Step => {
    const step = typeof one === 'number' ? (program.steps[one] as Step) : one;
    return typeof one === 'number' && step.kind === 'branch' ? { ...step, to: placeNow(step.to) } : step;
  });
  return { ...program, steps };
}

function everyPlace({ steps }: Program): number[] {
  return steps.map((_, place) => place);
}

/** Leaves a step out. */
export function drop(note: string): ProgramChange {
  return (program) => rebuilt(program, everyPlace(program).toSpliced(placeOf(program, note), 1));
}

/** Makes a step at another time: just before, or after, the one called `other`. */
export function move(note: string, where: 'before' | 'after', other: string): ProgramChange {
  return (program) => {
    const from = placeOf(program, note);
    if (program.steps.some((step) => step.kind === 'branch' && step.to === from)) {
      throw new RangeError(`${program.name}: a branch goes to '${note}'`);
    }
    const rest = everyPlace(program).toSpliced(from, 1);
    const place = rest.indexOf(placeOf(program, other)) + (where === 'after' ? 1 : 0);
    return rebuilt(program, rest.toSpliced(place, 0, from));
  };
}

/** Makes a step more, after the one called `note`. */
export function insertAfter(note: string, step: Step): ProgramChange {
  return (program) => {
    const order: (number | Step)[] = everyPlace(program);
    return rebuilt(program, order.toSpliced(placeOf(program, note) + 1, 0, step));
  };
}

/** Makes a step otherwise. */
export function change<K extends Kind>(
  kind: K,
  note: string,
  how: (step: OfKind<K>) => Partial<OfKind<K>>,
): ProgramChange {
  return (program) => {
    const place = placeOf(program, note);
    const step = program.steps[place] as Step;
    if (step.kind !== kind) throw new RangeError(`${program.name}: '${note}' is a ${step.kind}`);
    const changed = { ...step, ...how(step as OfKind<K>) } as Step;
    return { ...program, steps: program.steps.with(place, changed) };
  };
}

/** Makes a branch decide otherwise. */
export function decide(note: string, when: (registers: NamedRegisters) => boolean): ProgramChange {
  return change('branch', note, () => ({ when: when as (registers: Registers) => boolean }));
}

/** Makes a computation come to something else. */
export function compute(
  note: string,
  set: (registers: NamedRegisters) => Partial<NamedRegisters>,
): ProgramChange {
  return change('compute', note, () => ({ set: set as OfKind<'compute'>['set'] }));
}

/** Makes every load, or store, whose note matches as if the registers were others. */
export function elsewhere(
  notes: RegExp,
  as: (registers: NamedRegisters) => Partial<NamedRegisters>,
): ProgramChange {
  return (program) => {
    let found = 0;
    const steps = program.steps.map((step): Step => {
      if (!notes.test(step.note) || (step.kind !== 'load' && step.kind !== 'store')) return step;
      found++;
      const at = (registers: Registers): number =>
        step.at({ ...registers, ...as(registers as NamedRegisters) } as Registers);
      return { ...step, at };
    });
    if (found === 0) throw new RangeError(`${program.name}: no access is called ${notes}`);
    return { ...program, steps };
  };
}

/** One change after the other. */
export function inTurn(...changes: readonly ProgramChange[]): ProgramChange {
  return (program) => changes.reduce((changed, one) => one(changed), program);
}
