export type PlotOptions = Readonly<Record<string, unknown>>;
/** What a plot is made of, from back to front. */
export type Mark = { readonly mark: unique symbol };
type MarkOf = (data: readonly unknown[], options: PlotOptions) => Mark;

/**
 * What is used of Observable Plot and of linkedom: their own types need those of a browser, which this program is
 * compiled without.
 */
export interface Plot {
  readonly lineY: MarkOf;
  readonly dot: MarkOf;
  readonly cell: MarkOf;
  readonly text: MarkOf;
  readonly ruleX: MarkOf;
  readonly ruleY: MarkOf;
  plot(options: PlotOptions): Drawing;
}
interface Drawing {
  readonly outerHTML: string;
  setAttribute(name: string, value: string): void;
  prepend(child: unknown): void;
}
interface Dom {
  parseHTML(html: string): { document: { createElement(name: string): { textContent: string } } };
}

// As variables: a literal would have the compiler look for their types.
const PLOT: string = '@observablehq/plot';
const DOM: string = 'linkedom';

const TITLE_TOP = 12;

/**
 * A plot as an SVG file of its own, black on white whatever the reader's theme, with a title over it.
 *
 * @param options of Plot.plot; `marginTop`, in pixels, has the title at its top
 */
export async function svgDrawing(
  title: string,
  options: (plot: Plot) => PlotOptions & { marginTop: number; marks: readonly Mark[] },
): Promise<string> {
  // Together a quarter of a second to load.
  const plot = (await import(PLOT)) as Plot;
  const { parseHTML } = (await import(DOM)) as Dom;
  const { document } = parseHTML('<!doctype html><html><head></head><body></body></html>');
  const { marks, ...rest } = options(plot);
  const heading = plot.text([title], {
    frameAnchor: 'top-left',
    dy: TITLE_TOP - rest.marginTop,
    fontSize: 14,
    fontWeight: 'bold',
  });
  const svg = plot.plot({
    document,
    style: { background: 'white', color: 'black', fontFamily: 'sans-serif' },
    ...rest,
    marks: [...marks, heading],
  });
  svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  const name = document.createElement('title');
  name.textContent = title;
  svg.prepend(name);
  return `${svg.outerHTML}\n`;
}
