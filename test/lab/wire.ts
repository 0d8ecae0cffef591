import type { Readable } from 'node:stream';

/** The stream ended before what was asked for had come. */
export class WireEnded extends Error {
  constructor() {
    super('the stream ended before what was asked for had come');
  }
}

/** Lines and counted bytes of one stream, in the order in which they are asked for. */
export class Wire {
  readonly #stream: Readable;
  #held = Buffer.alloc(0);
  #closed = false;
  #arrived: () => void = () => undefined;

  constructor(stream: Readable) {
    this.#stream = stream;
    this.#stream.on('data', (chunk: Buffer) => {
      this.#held = Buffer.concat([this.#held, chunk]);
      this.#arrived();
    });
    for (const event of ['end', 'close', 'error']) {
      this.#stream.on(event, () => {
        this.#closed = true;
        this.#arrived();
      });
    }
  }

  /** The next line, without its end. Throws {@link WireEnded}. */
  async line(): Promise<string> {
    const line = await this.#taken(() => this.#held.indexOf('\n') + 1);
    return line.subarray(0, -1).toString();
  }

  /** The next so many bytes. Throws {@link WireEnded}. */
  async bytes(count: number): Promise<Buffer> {
    return count === 0 ? Buffer.alloc(0) : this.#taken(() => (this.#held.length < count ? 0 : count));
  }

  async #taken(bytesReady: () => number): Promise<Buffer> {
    for (;;) {
      const count = bytesReady();
      if (count > 0) {
        const taken = this.#held.subarray(0, count);
        this.#held = this.#held.subarray(count);
        return taken;
      }
      if (this.#closed) throw new WireEnded();
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
  }
}
