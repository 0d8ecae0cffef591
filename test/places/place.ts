import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect } from 'vitest';
import { BIN, type CliResult, ROOT, runProgram } from '../support/run-cli.ts';

/** What tests of hostile places share: programs to enter them with, and what a run there must look like. */

export interface Check {
  id: string;
  status: 'pass' | 'fail' | 'warn' | 'skip';
  reason: string;
  advice: string | null;
  evidence: Record<string, unknown>;
}

export const VALIDATE = [BIN, 'validate', '--quick', '--format', 'json'];
export const INSPECT = [BIN, 'inspect', '--format', 'json'];

/** What a child process imports the built library from. */
export const LIBRARY = pathToFileURL(join(ROOT, 'dist/index.js')).href;

/** A part of the built library that is not exported. */
export function built(path: string): string {
  return pathToFileURL(join(ROOT, 'dist', path)).href;
}

/** A folder that goes with the test file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'latchclock-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Compiles `test/places/NAME.c` to `folder/NAME`; returns its path. */
export function compile(folder: string, name: string, ...flags: string[]): string {
  const target = join(folder, name);
  const source = join(ROOT, 'test/places', `${name}.c`);
  const { code, err } = runProgram('g++', ['-x', 'c', '-Wall', '-Wextra', ...flags, '-o', target, source]);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return target;
}

/** Checks by id; fails if the run did not end as it should, or a check failed. */
export function checksOf({ code, signal, out, err }: CliResult): Record<string, Check> {
  expect({ code, signal, err }).toEqual({ code: 0, signal: null, err: '' });
  return checksIn(out);
}

/** Checks by id in a report as JSON; fails if one of them failed, or did not say what to do about it. */
export function checksIn(json: string): Record<string, Check> {
  const { checks } = JSON.parse(json) as { checks: Check[] };
  expect(checks.filter(({ status }) => status === 'fail')).toEqual([]);
  for (const { id, status, reason, advice } of checks) {
    expect(reason, id).not.toBe('');
    if (status !== 'pass') expect(advice, id).toMatch(/\w/);
  }
  return Object.fromEntries(checks.map((check) => [check.id, check]));
}

/** Runs an ES module in a Node process of its own, with `flags` of Node. */
export function runModule(module: string, flags: readonly string[] = []): CliResult {
  return runProgram(process.execPath, [...flags, '--input-type=module', '-e', module]);
}

export interface RunningProgram {
  child: ChildProcess;
  ended: Promise<CliResult>;
}

/** Starts a program, without waiting for its end. */
export function startProgram(program: string, arguments_: readonly string[]): RunningProgram {
  const child = spawn(program, arguments_, { cwd: ROOT, timeout: 60_000, killSignal: 'SIGKILL' });
  const text = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text.out += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text.err += chunk;
  });
  const ended = new Promise<CliResult>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, ...text }));
  });
  return { child, ended };
}
