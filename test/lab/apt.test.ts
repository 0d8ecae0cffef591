import { describe, expect, test } from 'vitest';
import { mirrorUri } from './apt.ts';

const printed = (...indexes: string[]): string =>
  indexes.map((index) => `'${index}/InRelease' ${index.replaceAll('/', '_')} 0 \n`).join('');

describe('the mirror', () => {
  test('is where the release and its updates are, whoever else offers packages for it', () => {
    const sources = printed(
      'https://packages.example/linux/debian/dists/bookworm',
      'http://mirror.example/debian/dists/bookworm',
      'http://mirror.example/debian/dists/bookworm-updates',
      'http://mirror.example/debian-security/dists/bookworm-security',
    );
    expect(mirrorUri(sources, 'bookworm')).toBe('http://mirror.example/debian/');
  });

  test('is found by the name of a suite, and without updates', () => {
    expect(mirrorUri(printed('http://mirror.example/debian/dists/stable'), 'trixie')).toBe(
      'http://mirror.example/debian/',
    );
    expect(mirrorUri(printed('http://mirror.example/debian/dists/sid'), '')).toBe(
      'http://mirror.example/debian/',
    );
  });

  test('is none where only others are set up', () => {
    expect(mirrorUri(printed('http://mirror.example/node/dists/nodistro'), 'bookworm')).toBeUndefined();
    expect(mirrorUri('', 'bookworm')).toBeUndefined();
  });
});
