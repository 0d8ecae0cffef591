import type { CompareReport } from '../compare/run.js';
import { curveOf } from './compare-curve.js';
import { svgDrawing } from './svg-drawing.js';

/** A comparison as SVG: its curve. */
export function compareSvg(report: CompareReport): Promise<string> {
  const { title, points } = curveOf(report);
  return svgDrawing(`${title} (Linux ${report.kernel})`, (plot) => ({
    width: 900,
    height: 400,
    marginTop: 40,
    marginLeft: 70,
    marginBottom: 40,
    x: { label: 'seconds', labelAnchor: 'center' },
    y: { label: 'ns', labelAnchor: 'center', grid: true },
    marks: [
      plot.ruleY([0], {}),
      plot.lineY(points, { x: 'seconds', y: 'ns', stroke: '#4e79a7', strokeWidth: 1.2 }),
    ],
  }));
}
