/**
 * How far accesses may move, beside the order in which a program makes them.
 *
 * - `sc`: not at all; the counter is read where it stands.
 * - `tso`: x86. A writer's stores wait in a buffer, in order, and a full fence empties it. Loads are in order. A fenced
 *   reading of the counter comes after the loads before it, and may be made after loads behind it; an unfenced one moves
 *   both ways.
 * - `weak`: as `tso`, and stores to different words leave the buffer in any order, and loads of different words are made
 *   in any order, where no acquire, release or fence keeps them. All CPUs see a store at once (as on ARMv8).
 *
 * Nothing moves across an interrupt of the CPU, as an exit of the virtual machine or a change of the counter is.
 */
export const MEMORY_MODELS = ['sc', 'tso', 'weak'] as const;
export type MemoryModel = (typeof MEMORY_MODELS)[number];
