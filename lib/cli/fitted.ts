import { wrapped } from '../report/wrapped.js';

/** Where the lines after the first of a line that is broken begin: below its text, beside what that is headed by. */
function hangOf(line: string): number {
  const heading = /^ *\S+ {2,}/.exec(line)?.[0].length;
  if (heading !== undefined) return heading;
  const indent = /^ */.exec(line)?.[0].length as number;
  return indent === 0 ? 2 : indent;
}

/** Text whose lines are broken between words where they are longer than `width`; others are left as they are. */
export function fitted(text: string, width: number): string {
  return text
    .split('\n')
    .flatMap((line) => {
      if (line.length <= width) return [line];
      const hang = hangOf(line);
      const heading = line.slice(0, hang);
      // The heading takes part in the first line, unless it is blank or text itself.
      const head = /^ *\S+ {2,}$/.test(heading) || heading.trim() === '' ? heading : '';
      const [first = '', ...rest] = wrapped(line.slice(head.length), hang, width);
      return [`${head}${head === '' ? first.trimStart() : first.slice(hang)}`, ...rest];
    })
    .join('\n');
}
