import { notByTsc } from './not-by-tsc.ts';

notByTsc('tsc-unstable', ['tsc=unstable'], 'hpet');
