import { type StartKept, startKept } from './kept-page.js';
import type { Check } from './model.js';
import { kernelCheck } from './smear-kernel.js';
import { phasesCheck } from './smear-phases.js';
import { windowCheck } from './smear-window.js';

export function smearChecksWith(start: StartKept): readonly Check[] {
  return [phasesCheck(start), windowCheck(start), kernelCheck(start)];
}

export const smearChecks = smearChecksWith(startKept);
