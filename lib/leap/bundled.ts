import type { LeapTable } from './table.js';

/** The first days of TAI - UTC = 10 s, 11 s, and so on. */
const FIRST_DAYS = [
  '1972-01-01',
  '1972-07-01',
  '1973-01-01',
  '1974-01-01',
  '1975-01-01',
  '1976-01-01',
  '1977-01-01',
  '1978-01-01',
  '1979-01-01',
  '1980-01-01',
  '1981-07-01',
  '1982-07-01',
  '1983-07-01',
  '1985-07-01',
  '1988-01-01',
  '1990-01-01',
  '1991-01-01',
  '1992-07-01',
  '1993-07-01',
  '1994-07-01',
  '1996-01-01',
  '1997-07-01',
  '1999-01-01',
  '2006-01-01',
  '2009-01-01',
  '2012-07-01',
  '2015-07-01',
  '2017-01-01',
];
const FIRST_OFFSET = 10;

/**
 * The leap seconds of the IERS list that tzdata 2026f ships, for systems without a table. It is a copy of facts that
 * change: a table of the system that covers as much comes first.
 */
export const BUNDLED_LEAP_TABLE: LeapTable = {
  updated: 1_783_323_897n,
  expires: 1_814_140_800n,
  entries: FIRST_DAYS.map((day, index) => ({
    unixSeconds: BigInt(Date.parse(`${day}T00:00:00Z`) / 1000),
    taiOffsetSeconds: FIRST_OFFSET + index,
  })),
  hash: 'match',
};
