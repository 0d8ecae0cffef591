import { notByTsc } from './not-by-tsc.ts';

notByTsc('hpet', ['clocksource=hpet'], 'hpet');
