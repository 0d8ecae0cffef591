import type { Observation } from './observation.ts';
export const tableText = (o: Observation[]) => JSON.stringify(o);
