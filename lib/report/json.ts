import { TOOL } from './tool.js';

/** Indented JSON with a newline at its end; 64-bit integers (`bigint`) as decimal strings. */
export function toJson(value: unknown): string {
  return `${JSON.stringify(value, (_key, part) => (typeof part === 'bigint' ? part.toString() : part), 2)}\n`;
}

/** What stands at the head of every JSON output. */
export function jsonHead(command: string): { schema: string; tool: typeof TOOL } {
  return { schema: `latchclock/${command}/1`, tool: TOOL };
}
