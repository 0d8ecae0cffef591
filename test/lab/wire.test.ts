import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Wire, WireEnded } from './wire.ts';

describe('a wire', () => {
  test('gives lines and counted bytes in order, however the stream is cut into chunks', async () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 });
    const cuts = fc.array(fc.nat(), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(messages, cuts, async (bodies, at) => {
        const all = Buffer.concat(bodies.flatMap((body) => [Buffer.from(`${body.length}\n`), body]));
        const ends = [...at.map((cut) => cut % (all.length + 1)), all.length].toSorted((a, b) => a - b);
        const stream = new PassThrough();
        const wire = new Wire(stream);
        let from = 0;
        for (const end of ends) {
          if (end > from) stream.write(all.subarray(from, end));
          from = end;
        }
        for (const body of bodies) {
          const count = Number(await wire.line());
          expect(Uint8Array.from(await wire.bytes(count))).toEqual(Uint8Array.from(body));
        }
      }),
    );
  });

  test('waits for what has not come yet', async () => {
    const stream = new PassThrough();
    const line = new Wire(stream).line();
    stream.write('REA');
    await new Promise((resolve) => setImmediate(resolve));
    stream.write('DY\n');
    expect(await line).toBe('READY');
  });

  test('says that the stream ended before what was asked for came', async () => {
    const stream = new PassThrough();
    const wire = new Wire(stream);
    stream.end('three\ntwo');
    expect(await wire.line()).toBe('three');
    await expect(wire.line()).rejects.toThrow(WireEnded);
    expect(`${await wire.bytes(3)}`).toBe('two');
    await expect(wire.bytes(1)).rejects.toThrow(WireEnded);
  });
});
