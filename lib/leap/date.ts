import { LatchclockError } from '../errors.js';

/** 0000-01-01 and the end of 9999-12-31, Unix seconds: what a date of four digits, as RFC 3339 has them, can say. */
const FIRST_SECONDS = -62_167_219_200n;
export const END_OF_DATES_SECONDS = 253_402_300_800n;

/** True if a Unix time has a date of four digits: years 0 to 9999. */
export function hasDate(unixSeconds: bigint): boolean {
  return unixSeconds >= FIRST_SECONDS && unixSeconds < END_OF_DATES_SECONDS;
}

/**
 * A Unix time such as `2016-12-31T23:59:59Z`.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if it is outside of the years 0 to 9999
 */
export function dateTimeOf(unixSeconds: bigint): string {
  if (!hasDate(unixSeconds)) {
    throw new LatchclockError('ERR_BAD_ARGUMENT', 'a time outside of the years 0 to 9999 has no date', {
      where: `${unixSeconds} s since 1970`,
      todo: 'give an earlier or a later time',
    });
  }
  return new Date(Number(unixSeconds) * 1000).toISOString().replace('.000Z', 'Z');
}

/**
 * The day of a Unix time, such as `2016-12-31`.
 *
 * @throws LatchclockError `ERR_BAD_ARGUMENT` if it is outside of the years 0 to 9999
 */
export function dateOf(unixSeconds: bigint): string {
  return dateTimeOf(unixSeconds).slice(0, '2016-12-31'.length);
}
