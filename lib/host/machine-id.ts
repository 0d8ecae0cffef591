import { createHmac } from 'node:crypto';
import type { HostFiles } from './files.js';

/** Names this package to the hash, so that it says nothing about the hashes of other programs. */
const APPLICATION = Buffer.from('8a2f6c1e5b0d4e7c9f3ab6d81c4270e5', 'hex');

/**
 * A stable name of this machine that does not tell its machine id: HMAC-SHA256 of this package's id, keyed by
 * `/etc/machine-id`, as a UUID of version 4 (sd_id128_get_machine_app_specific(3)). 32 hex digits; null where the
 * machine has no id. Copies of an image that kept its id have the same.
 */
export function machineIdHash(files: HostFiles): string | null {
  let text: string;
  try {
    text = Buffer.from(files.read('/etc/machine-id', 64)).toString('latin1').trim();
  } catch {
    return null;
  }
  if (!/^[0-9a-f]{32}$/.test(text) || /^0+$/.test(text)) return null;
  const hash = createHmac('sha256', Buffer.from(text, 'hex')).update(APPLICATION).digest().subarray(0, 16);
  hash[6] = ((hash[6] as number) & 0x0f) | 0x40;
  hash[8] = ((hash[8] as number) & 0x3f) | 0x80;
  return hash.toString('hex');
}
