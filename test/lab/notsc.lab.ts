import { notByTsc } from './not-by-tsc.ts';

// On x86-64 the parameter does not take the counter away: it only keeps the kernel from counting by it.
notByTsc('notsc', ['notsc'], 'hpet');
