import type { CompareFinding } from '../compare/run.js';

type Row = readonly (string | number | bigint)[];

const ALLAN_HEADS = ['tau_seconds', 'allan_deviation', 'allan_low', 'allan_high', 'allan_noise'];

function rowsOf(finding: CompareFinding): { heads: readonly string[]; rows: readonly Row[] } {
  switch (finding.mode) {
    case 'follow':
      return {
        heads: ['cycles', 'clock', 'kernel_ns', 'simulated_ns', 'difference_ns', 'predicted_ns'],
        rows: finding.follow.samples.map(({ cycles, clock, kernelNs, simulatedNs, predictedNs }) => [
          cycles,
          clock,
          kernelNs,
          simulatedNs,
          simulatedNs - kernelNs,
          predictedNs,
        ]),
      };
    case 'free': {
      const clocks = finding.drift?.clocks ?? [];
      // Allan deviations have rows of their own behind the samples: the columns of the others stay empty.
      return {
        heads: ['seconds', 'cycles', 'clock', 'drift_ns', ...ALLAN_HEADS],
        rows: [
          ...clocks.flatMap(({ id, points }) =>
            points.map(({ seconds, cycles, ns }) => [seconds, cycles, id, ns, ...ALLAN_HEADS.map(() => '')]),
          ),
          ...clocks.flatMap(({ id, allan }) =>
            allan.map(({ tauSeconds, deviation, interval }) => [
              ...['', '', id, ''],
              ...[tauSeconds, deviation],
              ...[interval?.low ?? '', interval?.high ?? '', interval?.noise ?? ''],
            ]),
          ),
        ],
      };
    }
    case 'page':
      return {
        heads: ['cycles', 'clock', 'own_ns', 'kernel_least_ns', 'kernel_most_ns', 'bound_ns'],
        rows: finding.own.samples.map(({ cycles, clock, ownNs, kernelNs, boundNs }) => [
          cycles,
          clock,
          ownNs,
          ...kernelNs,
          boundNs,
        ]),
      };
    case 'against':
      return {
        heads: ['seconds', 'offset_ns', 'half_width_ns'],
        rows: finding.reference.points.map(({ seconds, offsetNs, halfWidthNs }) => [
          seconds,
          offsetNs,
          halfWidthNs,
        ]),
      };
  }
}

/** The samples of a comparison, and Allan deviations, a line each under a head. No field needs quotes. */
export function compareCsv(finding: CompareFinding): string {
  const { heads, rows } = rowsOf(finding);
  return `${[heads, ...rows].map((row) => row.join(',')).join('\n')}\n`;
}
