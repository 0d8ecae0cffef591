import { stateInWords, statusNames } from '../host/discipline.js';
import type { Found, Inspection, PageInspection } from '../host/inspect.js';
import { basetimeOffsets, type KernelClockOffsets } from '../page/kernel-layout.js';
import type { KernelClockWords } from '../page/kernel-page.js';
import { PAGE_CLOCKS } from '../page/posix-clocks.js';
import { jsonHead, toJson } from './json.js';

function hex(address: bigint): string {
  return `0x${address.toString(16)}`;
}

function foundOr<T, J extends object>(
  { value, problem }: Found<T>,
  json: (value: T) => J,
  absent: object = {},
): object {
  return value === null ? { ...absent, problem } : { ...json(value), problem: null };
}

/** The words of a clock structure, each with its offset in the page. */
function fields(words: KernelClockWords, at: KernelClockOffsets): object {
  const field = (value: number | bigint | null, offset: number | null): object | null =>
    offset === null ? null : { offset, value };
  return {
    seq: field(words.seq, at.seq),
    mode: field(words.mode, at.mode),
    cycleLast: field(words.cycleLast, at.cycleLast),
    maxCycles: field(words.maxCycles, at.maxCycles),
    mask: field(words.mask, at.mask),
    mult: field(words.mult, at.mult),
    shift: field(words.shift, at.shift),
  };
}

function pageJson({ proved, page, snapshot, modeName, cycles, values }: PageInspection): object {
  const { layout, proof, refused, btfProblem } = proved;
  return {
    found: layout.source,
    struct: layout.struct,
    layout: layout.name,
    region: page.region,
    index: page.index,
    address: hex(page.address),
    mode: modeName,
    proof: {
      path: proof.path,
      clocks: proof.clocks,
      byVdso: proof.byVdso,
      notProved: proof.refused,
      samplesPerClock: proof.samplesPerClock,
      bracketNs: proof.bracketNs,
    },
    refused,
    btfProblem: btfProblem?.message ?? null,

    fields: {
      main: fields(snapshot.main, layout.main),
      raw: fields(snapshot.raw, layout.raw),
      basetime: Object.fromEntries(
        PAGE_CLOCKS.map((clock) => {
          const { seconds, nsecAsStored } = snapshot.basetimes[clock];
          return [clock, { offset: basetimeOffsets(layout, clock).seconds, seconds, nsecAsStored }];
        }),
      ),
      hrtimerRes: { offset: layout.hrtimerRes, value: snapshot.hrtimerResNs },
    },
    now: { cycles, ns: values },
  };
}

/** An inspection as JSON, schema `latchclock/inspect/1`. */
export function inspectJson(inspection: Inspection): string {
  const {
    host,
    counterState,
    pvclockHz,
    counter,
    clocksource,
    vdso,
    page,
    namespace,
    discipline,
    ptp,
    leapTable,
  } = inspection;
  return toJson({
    ...jsonHead('inspect'),
    host,
    counter: { state: counterState, pvclockHz, ...foundOr(counter, (facts) => facts) },
    clocksource,
    vdso: foundOr(
      vdso,
      ({ base, size, elf }) => ({
        base: hex(base),
        size,
        soname: elf.soname,
        buildId: elf.buildId,
        linuxVersion: elf.linuxVersion,
        symbols: elf.symbols,
      }),
      { symbols: [] },
    ),
    page: foundOr(page, pageJson, { found: null, struct: null, fields: null }),
    namespace,
    discipline: foundOr(discipline, (facts) => ({
      ...facts,
      stateName: stateInWords(facts.state).name,
      stateMeaning: stateInWords(facts.state).meaning,
      statusNames: statusNames(facts.status),
    })),
    ptp,
    leapTable: foundOr(leapTable, ({ source, isBundled, reason, notes, table }) => ({
      path: source,
      bundled: isBundled,
      reason,
      notes,
      updated: table.updated,
      expires: table.expires,
      hash: table.hash,
      entries: table.entries,
    })),
  });
}
