import { Gauge, Registry } from 'prom-client';
import { CHECK_KINDS, CHECK_STATUSES } from '../checks/model.js';
import type { RunReport } from '../checks/run.js';
import { TOOL } from './tool.js';

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
