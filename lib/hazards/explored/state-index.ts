/**
 * Numbers equal rows of 32-bit integers alike, in the order in which they are first met: a hash table without an object for
 * each row, since there are millions.
 */
export class StateIndex {
  readonly #width: number;
  #rows: Int32Array;
  /** Numbers of rows plus 1, at the place of their hash or the next free one; 0: free. */
  #places: Int32Array;
  #size = 0;

  /** @param width integers of a row */
  constructor(width: number) {
    this.#width = width;
    this.#rows = new Int32Array(width << 10);
    this.#places = new Int32Array(1 << 12);
  }

  /** The number of a row that is equal to `row`; if there is none yet, the next one. */
  numberOf(row: Int32Array): number {
    const places = this.#places;
    const mask = places.length - 1;
    let place = this.#hashOf(row, 0) & mask;
    for (let found = places[place] as number; found !== 0; found = places[place] as number) {
      if (this.#isAt(found - 1, row)) return found - 1;
      place = (place + 1) & mask;
    }
    const number = this.#size++;
    places[place] = number + 1;
    if (this.#rows.length < this.#size * this.#width) this.#growRows();
    this.#rows.set(row, number * this.#width);
    if (this.#size * 2 > places.length) this.#growPlaces();
    return number;
  }

  /** FNV-1a over whole words, then mixed, as its low bits would depend on low bits only. */
  #hashOf(row: Int32Array, from: number): number {
    let hash = 0x811c9dc5;
    for (let i = from; i < from + this.#width; i++) hash = Math.imul(hash ^ (row[i] as number), 0x01000193);
    hash ^= hash >>> 15;
    hash = Math.imul(hash, 0x2c1b3c6d);
    return hash ^ (hash >>> 13);
  }

  #isAt(number: number, row: Int32Array): boolean {
    const from = number * this.#width;
    for (let i = 0; i < this.#width; i++) if (this.#rows[from + i] !== row[i]) return false;
    return true;
  }

  #growRows(): void {
    const rows = new Int32Array(this.#rows.length * 2);
    rows.set(this.#rows);
    this.#rows = rows;
  }

  #growPlaces(): void {
    const places = new Int32Array(this.#places.length * 2);
    const mask = places.length - 1;
    for (let number = 0; number < this.#size; number++) {
      let place = this.#hashOf(this.#rows, number * this.#width) & mask;
      while (places[place] !== 0) place = (place + 1) & mask;
      places[place] = number + 1;
    }
    this.#places = places;
  }
}
