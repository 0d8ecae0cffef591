import { describe, expect, test } from 'vitest';
import { buildRemedy } from '../../lib/native/build-remedy.ts';

/** The remedy where these files, and no others, are there. */
function remedy(root: string, ...files: string[]): string {
  return buildRemedy(root, (path) => files.includes(path));
}

const INSTALLED = '/srv/app/node_modules/latchclock/';

describe('where the addon is not built, the words are those of', () => {
  test.each([
    ['a checkout', '/home/me/latchclock/', [], 'npm run install'],
    ['npm', INSTALLED, ['/srv/app/package-lock.json'], 'npm install-scripts approve latchclock'],
    ['npm without a lock file', INSTALLED, [], 'npm rebuild latchclock'],
    [
      'pnpm',
      '/srv/app/node_modules/.pnpm/latchclock@1.0.0/node_modules/latchclock/',
      ['/srv/app/pnpm-lock.yaml'],
      'pnpm approve-builds',
    ],
    ['Yarn', INSTALLED, ['/srv/app/yarn.lock'], 'dependenciesMeta'],
    ['Bun', INSTALLED, ['/srv/app/bun.lock'], 'bun pm trust latchclock'],
    ['the workspace above', INSTALLED, ['/srv/pnpm-lock.yaml'], 'pnpm approve-builds'],
    [
      'the nearest project',
      INSTALLED,
      ['/srv/app/package-lock.json', '/srv/yarn.lock'],
      'npm install-scripts approve latchclock',
    ],
  ])('%s', (_who, root, files, words) => {
    const text = remedy(root, ...files);
    expect(text).toContain(words);
    expect(text).toContain('python3, make and g++');
    expect(text).not.toContain('\n');
  });
});
