import type { HostSummary } from '../host/host.js';
import { columns, type TextStyle } from './text.js';
import { TOOL } from './tool.js';

/** The head of a report: the tool, and the machine it ran on. */
export function hostLines(host: HostSummary, style: TextStyle): string {
  const under = host.hypervisor === null ? 'bare metal' : host.hypervisor;
  const namespace = host.timeNamespace === true ? ', in a time namespace' : '';
  const hz =
    host.counter.hz === null ? 'of unknown rate' : `${(Number(host.counter.hz) / 1e6).toFixed(3)} MHz`;
  const invariant = host.counter.invariant === true ? ', invariant' : '';
  const cpus = `${host.cpus} CPU${host.cpus === 1 ? '' : 's'}`;
  return [
    style.colors.bold(`${TOOL.name} ${TOOL.version}`),
    columns(style, [], [[`Linux ${host.kernel} on ${host.cpuModel} (${under}), ${cpus}${namespace}`]]),
    `clocksource ${host.clocksource.current ?? 'not told'}, counter ${hz}${invariant}`,
  ].join('\n');
}
