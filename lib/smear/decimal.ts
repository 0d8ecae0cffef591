import { NS_PER_SEC } from '../units.js';

const SECONDS = /^([+-]?)(\d{1,18})(?:\.(\d{1,9}))?$/;

/** Decimal seconds with up to 9 digits after the point, exactly, in ns; null if the text is not that. */
export function parseSeconds(text: string): bigint | null {
  const match = SECONDS.exec(text);
  if (match === null) return null;
  const [, sign, whole = '', fraction = ''] = match;
  const ns = BigInt(whole) * NS_PER_SEC + BigInt(fraction.padEnd(9, '0'));
  return sign === '-' ? -ns : ns;
}

/** Nanoseconds as decimal seconds, exactly, without zeros at the end. */
export function formatSeconds(ns: bigint): string {
  const size = ns < 0n ? -ns : ns;
  const fraction = (size % NS_PER_SEC).toString().padStart(9, '0').replace(/0+$/, '');
  return `${ns < 0n ? '-' : ''}${size / NS_PER_SEC}${fraction === '' ? '' : `.${fraction}`}`;
}
