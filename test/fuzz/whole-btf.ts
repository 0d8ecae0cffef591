import { readFileSync } from 'node:fs';
import { BTF_PATH } from '../../lib/host/kernel-page.ts';

/** This kernel's BTF; where it cannot be read, no bytes and the reason. */
export function wholeBtf(): { bytes: Uint8Array; reason: string | null } {
  try {
    return { bytes: Uint8Array.from(readFileSync(BTF_PATH)), reason: null };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return { bytes: new Uint8Array(), reason: `${BTF_PATH} cannot be read: ${code}` };
  }
}
