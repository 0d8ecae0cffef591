import { closeSync, openSync, readdirSync } from 'node:fs';
import { clockIdOfDevice } from '../page/posix-clocks.js';

/** PTP hardware clocks, open for as long as their dynamic ids are used. */
export interface PtpClocks {
  clocks: { name: string; id: number }[];
  /** Devices that exist but may not be opened, with the errno of each. */
  refused: { name: string; errno: string }[];
  close(): void;
}

/** Opens every `/dev/ptpN` that this user may read. Never throws: a host without such devices has none. */
export function openPtpClocks(): PtpClocks {
  const descriptors: number[] = [];
  const clocks: PtpClocks['clocks'] = [];
  const refused: PtpClocks['refused'] = [];
  for (const name of ptpDevices()) {
    try {
      const descriptor = openSync(`/dev/${name}`, 'r');
      descriptors.push(descriptor);
      clocks.push({ name, id: clockIdOfDevice(descriptor) });
    } catch (error) {
      refused.push({ name, errno: (error as NodeJS.ErrnoException).code ?? 'unknown' });
    }
  }
  const close = (): void => {
    for (const descriptor of descriptors) closeSync(descriptor);
  };
  return { clocks, refused, close };
}

function ptpDevices(): string[] {
  try {
    return readdirSync('/dev').filter((entry) => /^ptp\d+$/.test(entry));
  } catch {
    return [];
  }
}
