import { main } from '../runtime/cli/main.ts';
import { inheritedNofile, type Limit } from '../runtime/launcher/environment.ts';
import { openBunPort } from '../runtime/linux/ffi-bun.ts';
import { basename } from '../runtime/linux/path.ts';
import { installPort } from '../runtime/linux/port.ts';
import { trySyscall } from '../runtime/linux/syscall.ts';

const RLIMIT_NOFILE = 7;

// Takes the launcher's variable out of the environment before a child could inherit it.
const nofile = inheritedNofile();
installPort(openBunPort);

// One executable file serves all commands: it looks at the name it was called by. It starts with
// a JIT that waits (see scripts/build.mjs), as suits the runtime; the bundler has work for it.
const args = process.argv.slice(2);
if (basename(process.argv0) === 'scow-bundle') {
  Bun.unsafe.setJITPolicy(1);
  // What it runs gets the limit that it was given itself.
  if (nofile !== undefined) setNofile(nofile);
  void import('../bundle/cli/main.ts').then((bundle) => bundle.main(args));
} else {
  void main(args);
}

/** Undoes what the engine did to RLIMIT_NOFILE, prlimit(2). */
function setNofile({ soft, hard }: Limit): void {
  trySyscall(
    'prlimit64',
    0,
    RLIMIT_NOFILE,
    new Uint8Array(BigUint64Array.of(soft, hard).buffer),
    0,
  );
}
