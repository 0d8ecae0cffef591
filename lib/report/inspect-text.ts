import { stateInWords, statusNames } from '../host/discipline.js';
import type { Inspection, PageInspection } from '../host/inspect.js';
import type { TimeNamespaceOffsets } from '../host/time-namespace.js';
import { dateOf } from '../leap/date.js';
import type { FoundLeapTable } from '../leap/find.js';
import type { Adjtimex } from '../native/addon.js';
import { basetimeOffsets } from '../page/kernel-layout.js';
import type { KernelClockWords } from '../page/kernel-page.js';
import { PAGE_CLOCKS } from '../page/posix-clocks.js';
import { NS_PER_SEC } from '../units.js';
import { hostLines } from './host-text.js';
import { type Colors, columns, type TextStyle } from './text.js';

type Rows = string[][];

function yesNo(value: boolean | null): string {
  return value === null ? 'not told' : value ? 'yes' : 'no';
}

function section(title: string, rows: Rows, style: TextStyle, widths: readonly number[] = [18]): string {
  const indented = rows.map(([first = '', ...rest]) => [` ${first}`, ...rest]);
  return `${style.colors.bold(title)}\n${columns(style, widths, indented)}`;
}

function problemRow(problem: string, colors: Colors): Rows {
  return [['', colors.yellow(problem)]];
}

function counterRows({ counter, counterState, pvclockHz }: Inspection, colors: Colors): Rows {
  if (counter.value === null) return [['state', counterState], ...problemRow(counter.problem, colors)];
  const { invariant, rdtscp, tscAdjust, crystalHz, baseMhz, hypervisor, hypervisorTscKhz } = counter.value;
  return [
    ['state', counterState],
    ['invariant', yesNo(invariant)],
    ['rdtscp', yesNo(rdtscp)],
    ['TSC_ADJUST', yesNo(tscAdjust)],
    ['CPUID leaf 0x15', crystalHz === null ? 'not given' : `${crystalHz} Hz`],
    ['CPUID leaf 0x16', baseMhz === null ? 'not given' : `${baseMhz} MHz base`],
    ['hypervisor', hypervisor === null ? 'none' : hypervisor],
    ['leaf 0x40000010', hypervisorTscKhz === null ? 'not given' : `${hypervisorTscKhz} kHz`],
    ['pvclock page', pvclockHz === null ? 'none' : `${Math.round(pvclockHz)} Hz`],
  ];
}

function clocksourceRows({ clocksource, ptp }: Inspection): Rows {
  const refused = ptp.refused.map(({ name, errno }) => `${name} (${errno})`);
  return [
    ['current', clocksource.current ?? 'not told'],
    ['available', clocksource.available.join(', ') || 'not told'],
    ['boot parameters', clocksource.bootParameters.join(' ') || 'none about time'],
    ['PTP clocks', [...ptp.clocks, ...refused].join(', ') || 'none'],
  ];
}

function disciplineRows({ taiOffsetSeconds, frequency, tickUs, state, status, maxErrorUs }: Adjtimex): Rows {
  const names = statusNames(status);
  const { name, meaning } = stateInWords(state);
  return [
    ['synchronised', yesNo(!names.includes('STA_UNSYNC'))],
    ['state', `${name}: ${meaning}`],
    ['status', names.join(', ') || 'no flag is set'],
    ['correction', `${(Number(frequency) / 65536).toFixed(3)} ppm, tick ${tickUs} us`],
    ['largest error', `${maxErrorUs} us`],
    ['TAI offset', `${taiOffsetSeconds} s${taiOffsetSeconds === 0 ? ' (never set)' : ''}`],
  ];
}

function wordsRow(name: string, words: KernelClockWords): string[] {
  return [
    name,
    String(words.seq),
    String(words.cycleLast),
    `${words.mult} >> ${words.shift}`,
    words.maxCycles === null ? 'none' : `0x${words.maxCycles.toString(16)}`,
  ];
}

function seconds(ns: bigint): string {
  const sign = ns < 0n ? '-' : '';
  const size = ns < 0n ? -ns : ns;
  return `${sign}${size / NS_PER_SEC}.${(size % NS_PER_SEC).toString().padStart(9, '0')}`;
}

function pageSection(
  { proved, page, snapshot, modeName, cycles, values }: PageInspection,
  style: TextStyle,
): string {
  const { layout, proof } = proved;
  const head = section(
    "kernel's clock page",
    [
      [
        'layout',
        `struct ${layout.struct}, by ${layout.source === 'btf' ? 'BTF' : `the table (${layout.name})`}`,
      ],
      [
        'proved by',
        `${proof.clocks.length} clocks by ${proof.path === 'vdso' ? 'vDSO' : 'system call'}, ${proof.samplesPerClock} brackets each, median ${Math.round(proof.bracketNs)} ns` +
          (proof.byVdso.length === 0 ? '' : `; of them ${proof.byVdso.join(', ')} by vDSO`) +
          (proof.refused.length === 0
            ? ''
            : `; not ${proof.refused.map(({ clock, error }) => `${clock} (${error})`).join(', ')}`),
      ],
      ['where', `${page.region} page ${page.index}, 0x${page.address.toString(16)}`],
      ['mode', modeName],
      ['resolution', `${snapshot.hrtimerResNs} ns`],
    ],
    style,
  );
  const words = columns(
    style,
    [5, 10, 20, 13],
    [
      [' copy', 'seq', 'cycle_last', 'mult >> shift', 'max_cycles'].map((title) => style.colors.dim(title)),
      wordsRow(' main', snapshot.main),
      wordsRow(' raw', snapshot.raw),
    ],
  );
  const clocks = columns(
    style,
    [18, 6, 22],
    [
      [' clock', 'at', 'base sec', 'base nsec as stored'].map((title) => style.colors.dim(title)),
      ...PAGE_CLOCKS.map((clock) => {
        const { seconds: baseSeconds, nsecAsStored } = snapshot.basetimes[clock];
        return [
          ` ${clock}`,
          String(basetimeOffsets(layout, clock).seconds),
          String(baseSeconds),
          String(nsecAsStored),
        ];
      }),
    ],
  );
  const now = columns(
    style,
    [18],
    [
      [` ${style.colors.dim('clock')}`, style.colors.dim(`seconds at counter ${cycles}`)],
      ...Object.entries(values).map(([clock, ns]) => [` ${clock}`, seconds(ns)]),
    ],
  );
  return [head, words, clocks, now].join('\n\n');
}

function leapRows({ source, reason, notes, table }: FoundLeapTable): Rows {
  const last = table.entries.at(-1);
  const date = (unix: bigint | null): string => (unix === null ? 'not told' : dateOf(unix));
  return [
    ['table', source],
    ['chosen', reason],
    [
      'entries',
      `${table.entries.length}, the last ${date(last?.unixSeconds ?? null)}: TAI - UTC = ${last?.taiOffsetSeconds} s`,
    ],
    ['updated', date(table.updated)],
    ['expires', date(table.expires)],
    ['hash', table.hash],
    ...notes.map((note, i): [string, string] => [i === 0 ? 'note' : '', note]),
  ];
}

/** An inspection as text for people. */
export function inspectText(inspection: Inspection, style: TextStyle): string {
  const { colors } = style;
  const { vdso, page, namespace, discipline, leapTable } = inspection;
  const vdsoHead =
    vdso.value === null
      ? section('vDSO', problemRow(vdso.problem, colors), style)
      : section(
          'vDSO',
          [
            ['where', `0x${vdso.value.base.toString(16)}, ${vdso.value.size} bytes`],
            ['build', vdso.value.elf.buildId ?? 'not told'],
            ...vdso.value.elf.symbols
              .filter(({ type, defined }) => type === 'function' && defined)
              .toSorted((a, b) => a.address - b.address || a.name.localeCompare(b.name))
              .map(({ name, version, address, size }) => [
                `+0x${address.toString(16)}`,
                `${name}${version === null ? '' : `@${version}`}, ${size} bytes`,
              ]),
          ],
          style,
        );
  const { offsets, childrenOffsets } = namespace;
  const bothOffsets = ({ monotonicNs, boottimeNs }: TimeNamespaceOffsets): string =>
    `monotonic ${seconds(monotonicNs)} s, boottime ${seconds(boottimeNs)} s`;
  return `${[
    hostLines(inspection.host, style),
    section('counter', counterRows(inspection, colors), style),
    section('clocksource', clocksourceRows(inspection), style),
    section(
      'discipline',
      discipline.value === null ? problemRow(discipline.problem, colors) : disciplineRows(discipline.value),
      style,
    ),
    vdsoHead,
    page.value === null
      ? section("kernel's clock page", problemRow(page.problem, colors), style)
      : pageSection(page.value, style),
    section(
      'time namespace',
      [
        ['in one', yesNo(namespace.inTimeNamespace)],
        ['offsets', offsets === null ? 'not told' : bothOffsets(offsets)],
        ...(childrenOffsets === null ? [] : [['for children', bothOffsets(childrenOffsets)]]),
      ],
      style,
    ),
    section(
      'leap seconds',
      leapTable.value === null ? problemRow(leapTable.problem, colors) : leapRows(leapTable.value),
      style,
    ),
  ].join('\n\n')}\n`;
}
