/** Steps from one text to another: characters put in, taken out, replaced, or swapped with the next one. */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const differs = from[row - 1] === to[column - 1] ? 0 : 1;
      const swapped =
        row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
          ? (beforeLast[column - 2] as number) + 1
          : Number.POSITIVE_INFINITY;
      current.push(
        Math.min(
          (last[column] as number) + 1,
          (current[column - 1] as number) + 1,
          (last[column - 1] as number) + differs,
          swapped,
        ),
      );
    }
    [beforeLast, last] = [last, current];
  }
  return last[to.length] as number;
}

/** A longer text is no slip of the keyboard, and would take its time. */
const MAX_NAME_LENGTH = 64;

/** The one of `known` that `text` is most likely meant to be: at most a third of its characters off; else null. */
export function nearest(text: string, known: readonly string[]): string | null {
  if (text.length > MAX_NAME_LENGTH) return null;
  const lower = text.toLowerCase();
  let best: { name: string; distance: number } | null = null;
  for (const name of known) {
    const distance = editDistance(lower, name.toLowerCase());
    if (distance <= Math.max(text.length, name.length) / 3 && distance < (best?.distance ?? Infinity)) {
      best = { name, distance };
    }
  }
  return best?.name ?? null;
}

/** `did you mean 'name'? `, for the head of a remedy; nothing where no name of `known` is near. */
export function didYouMean(text: string, known: readonly string[]): string {
  const name = nearest(text, known);
  return name === null ? '' : `did you mean '${name}'? `;
}
