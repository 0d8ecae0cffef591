import { Gauge, Registry } from 'prom-client';
import { CHECK_KINDS, CHECK_STATUSES } from '../checks/model.js';
import type { RunReport } from '../checks/run.js';
import { TOOL } from './tool.js';

/** A figure of a check's evidence; null where the check did not come to it. */
function figure({ checks }: RunReport, id: string, key: string): number | null {
  const value = checks.find((check) => check.id === id)?.evidence[key];
  return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : null;
}

/** The largest offset between two CPUs that is proved, cycles: 0 where none is; null where none was looked for. */
function provedOffsetCycles({ checks }: RunReport): number | null {
  const offsets = checks.find(({ id }) => id === 'counter.offset')?.evidence['offsets'];
  if (!Array.isArray(offsets)) return null;
  const proved = (offsets as { lowest: bigint; highest: bigint }[]).map(({ lowest, highest }) =>
    Math.max(0, Number(lowest), -Number(highest)),
  );
  return Math.max(0, ...proved);
}

/** One series of a telling figure: what a fleet is compared by. */
interface Telling {
  readonly name: string;
  readonly help: string;
  readonly value: number | null;
  readonly labels?: Readonly<Record<string, string>>;
}

function tellingFigures(report: RunReport): Telling[] {
  const hz = report.host.counter.hz === null ? null : Number(report.host.counter.hz);
  const seconds = (cycles: number | null): number | null =>
    cycles === null || hz === null ? null : cycles / hz;
  const scaled = (value: number | null, unit: number): number | null =>
    value === null ? null : value * unit;
  const clocksource = report.host.clocksource.current ?? '';
  const read = (path: string, key: string): Telling => ({
    name: 'clock_read_seconds',
    help: 'Median cost of one read by the path; counter: a fenced reading of the time-stamp counter.',
    value: scaled(figure(report, 'vdso.fast', key), 1e-9),
    labels: { path, clocksource },
  });
  return [
    {
      name: 'counter_frequency_error_ppm',
      help: "Measured frequency of the counter less the kernel's.",
      value: figure(report, 'counter.frequency', 'measuredPpm'),
    },
    {
      name: 'counter_frequency_error_bound_ppm',
      help: 'How far that may be off.',
      value: figure(report, 'counter.frequency', 'boundPpm'),
    },
    {
      name: 'clock_correction_ppm',
      help: 'How much faster the kernel runs monotonic than monotonic-raw.',
      value: figure(report, 'counter.frequency', 'correctionPpm'),
    },
    {
      name: 'counter_offset_seconds',
      help: 'Largest offset between the counters of two CPUs that is proved; 0 where none is.',
      value: seconds(provedOffsetCycles(report)),
    },
    {
      name: 'counter_offset_uncertainty_seconds',
      help: 'Widest interval that the offset of a pair of CPUs is known to lie in.',
      value: seconds(figure(report, 'counter.offset', 'widestCycles')),
    },
    read('vdso', 'vdsoNs'),
    read('syscall', 'syscallNs'),
    read('counter', 'fencedCounterNs'),
    {
      name: 'clock_maxerror_seconds',
      help: "The kernel's bound for the error of realtime (adjtimex maxerror).",
      value: scaled(figure(report, 'clock.relations', 'maxErrorUs'), 1e-6),
    },
    {
      name: 'clock_tai_offset_seconds',
      help: 'TAI - UTC as the kernel has it; 0 where it was never set.',
      value: figure(report, 'clock.relations', 'taiOffsetSeconds'),
    },
  ];
}

/** A run as Prometheus text, for a node exporter's textfile collector. */
export async function validatePrometheus(report: RunReport): Promise<string> {
  const registry = new Registry();
  const gauge = (name: string, help: string, labelNames: string[] = []): Gauge =>
    new Gauge({ name: `latchclock_${name}`, help, labelNames, registers: [registry] });

  const status = gauge('check_status', '1 for the status that the check ended with, else 0.', [
    'check',
    'group',
    'kind',
    'status',
  ]);
  const duration = gauge('check_duration_seconds', 'How long the check ran.', ['check', 'group', 'kind']);
  for (const check of report.checks) {
    for (const name of CHECK_STATUSES) {
      status.set(
        { check: check.id, group: check.group, kind: check.kind, status: name },
        Number(check.status === name),
      );
    }
    duration.set({ check: check.id, group: check.group, kind: check.kind }, check.durationMs / 1000);
  }
  const checks = gauge('checks', 'Number of checks of the kind that ended with the status.', [
    'kind',
    'status',
  ]);
  for (const kind of CHECK_KINDS) {
    for (const name of CHECK_STATUSES) checks.set({ kind, status: name }, report.summary[kind][name]);
  }
  gauge('run_start_time_seconds', 'When the run started, Unix time.').set(report.startedAt.getTime() / 1000);
  gauge('run_duration_seconds', 'How long the run took.').set(report.durationMs / 1000);
  gauge('run_interrupted', '1 if the run was stopped before its end.').set(Number(report.interrupted));
  if (report.host.counter.hz !== null) {
    gauge('tsc_hertz', "Frequency of the time-stamp counter by the kernel's page.").set(
      Number(report.host.counter.hz),
    );
  }
  const told = new Map<string, Gauge>();
  for (const { name, help, value, labels = {} } of tellingFigures(report)) {
    if (value === null) continue;
    const series = told.get(name) ?? gauge(name, help, Object.keys(labels));
    told.set(name, series);
    series.set(labels, value);
  }
  gauge('info', 'The tool and the host, as labels.', ['version', 'kernel', 'clocksource', 'hypervisor']).set(
    {
      version: TOOL.version,
      kernel: report.host.kernel,
      clocksource: report.host.clocksource.current ?? '',
      hypervisor: report.host.hypervisor ?? '',
    },
    1,
  );
  return registry.metrics();
}
