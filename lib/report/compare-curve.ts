import type { CompareReport } from '../compare/run.js';

/** The curve that a comparison is drawn as: seconds since its start, and nanoseconds. */
export interface CompareCurve {
  readonly title: string;
  readonly points: readonly { seconds: number; ns: number }[];
}

/** Counter readings as seconds since the first of them. */
function since(cycles: readonly bigint[], hz: number | null): number[] {
  const [first] = cycles;
  return cycles.map((at) => Number(at - (first as bigint)) / (hz ?? 1e9));
}

/** What of a comparison is worth a look; over the counter's cycles, as if it had one a nanosecond, where its rate is not known. */
export function curveOf({
  finding,
  counterHz: hz,
}: Pick<CompareReport, 'finding' | 'counterHz'>): CompareCurve {
  switch (finding.mode) {
    case 'follow': {
      const { movements } = finding.follow;
      const seconds = since(
        movements.map(({ cycles }) => cycles),
        hz,
      );
      return {
        title: 'monotonic: kernel time less what the page before gave, ns, at each update',
        points: movements.map(({ ns }, at) => ({ seconds: seconds[at] as number, ns })),
      };
    }
    case 'free': {
      const monotonic = finding.drift?.clocks.find(({ id }) => id === 'monotonic');
      return {
        title: 'monotonic: kernel time less the frozen page, ns',
        points: (monotonic?.points ?? []).map(({ seconds, ns }) => ({ seconds, ns })),
      };
    }
    case 'page': {
      const own = finding.own.samples.filter(({ clock }) => clock === 'monotonic');
      const seconds = since(
        own.map(({ cycles }) => cycles),
        hz,
      );
      return {
        title: 'monotonic: our page less the kernel, ns',
        points: own.map(({ ownNs, kernelNs: [low, high] }, at) => ({
          seconds: seconds[at] as number,
          ns: Number(ownNs < low ? ownNs - low : ownNs > high ? ownNs - high : 0n),
        })),
      };
    }
    case 'against': {
      const { name, points } = finding.reference;
      const [first] = points;
      return {
        title: `${name} less realtime, less the first offset, ns`,
        points: points.map(({ seconds, offsetNs }) => ({
          seconds,
          ns: Number(offsetNs - (first?.offsetNs ?? 0n)),
        })),
      };
    }
  }
}
