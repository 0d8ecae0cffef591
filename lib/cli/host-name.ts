import type { Command } from 'commander';
import type { HostSummary } from '../host/host.js';

/** Whether the report may name this host. */
export interface HostNameOptions {
  hostname: boolean;
}

export function addHostNameOption(command: Command): Command {
  return command.option('--no-hostname', "leave this host's name out of the report");
}

/** The report, without this host's name if the user wants that. */
export function nameHost<Report extends { readonly host: HostSummary }>(
  report: Report,
  { hostname }: HostNameOptions,
): Report {
  return hostname ? report : { ...report, host: { ...report.host, hostname: null } };
}
