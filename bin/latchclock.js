#!/usr/bin/env node
// Read by whatever Node is there: nothing here is newer than `import()`, so that one that is too old says so itself.
const WANTED = [20, 19];
const CANNOT_RUN = 3;

function cannotRun(what) {
  process.stderr.write(`latchclock: ${what}\n`);
  process.exitCode = CANNOT_RUN;
}

function start(main) {
  return main(process.argv.slice(2)).then((code) => {
    process.exitCode = code;
  });
}

function cannotLoad(error) {
  const [message] = String(error instanceof Error ? error.message : error).split('\n');
  const isShort = error instanceof Error && (error.code === 'EMFILE' || error.code === 'ENFILE');
  cannotRun(
    `it cannot be loaded (${message}); ${
      isShort
        ? 'raise the limit of open files (ulimit -n)'
        : "install the package again, or run 'npm run build' in it"
    }`,
  );
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < WANTED[0] || (major === WANTED[0] && minor < WANTED[1])) {
  cannotRun(
    `Node.js ${WANTED.join('.')} or later is wanted (this is ${process.versions.node}); install a newer one`,
  );
} else {
  // Without this Node would end with 1, which says that a check failed.
  process.on('uncaughtException', (error) => {
    cannotRun(`internal error, please report it: ${error instanceof Error ? error.stack : String(error)}`);
    process.exit(CANNOT_RUN);
  });
  import('../dist/cli/main.js').then((module) => start(module.main), cannotLoad);
}
