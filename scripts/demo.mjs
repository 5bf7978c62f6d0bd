/**
 * npm run demo (after a build): makes an image, unpacks it and runs it, and prints the commands.
 * The image is an OCI layout whose single layer holds a program that scow's assembler wrote.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeLayout } from './demo/layout.mjs';
import { assembleDemoProgram } from './demo/program.mjs';

const CONTAINER = 'scow-demo';

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));

/** Prints a command and runs it; the demo ends where one fails. */
function show(command, ...args) {
  console.log(`$ ${[command, ...args].join(' ')}`);
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (status === 0) return;
  console.error(`demo: ${command} ${error?.message ?? `ended with status ${status}`}`);
  process.exit(1);
}

// What a demo that was interrupted may have left.
spawnSync('build/scow', ['delete', '--force', CONTAINER], { stdio: 'ignore' });
rmSync('build/demo', { recursive: true, force: true });

const program = assembleDemoProgram();
await writeLayout('build/demo/layout', { tag: 'demo', path: '/hello', program });
console.log(`build/demo/layout: an image of one program of ${program.length} bytes`);
show('build/scow-bundle', 'unpack', '--image', 'build/demo/layout:demo', 'build/demo/bundle');
show('build/scow', 'run', '--bundle', 'build/demo/bundle', CONTAINER);
