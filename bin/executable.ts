import { basename } from 'node:path';
import { inheritedNofile } from '../runtime/launcher/environment.ts';
import { openBunPort } from '../runtime/linux/ffi-bun.ts';
import { installPort } from '../runtime/linux/port.ts';

// Takes the launcher's variable out of the environment before a child could inherit it.
inheritedNofile();
installPort(openBunPort);

// One executable file serves all commands: it looks at the name it was called by. It starts with
// a JIT that waits (see scripts/build.mjs), as suits the runtime; the bundler has work for it.
if (basename(process.argv0) === 'scow-bundle') {
  Bun.unsafe.setJITPolicy(1);
  const { main } = await import('../bundle/cli/main.ts');
  await main(process.argv.slice(2));
} else {
  const { main } = await import('../runtime/cli/main.ts');
  await main(process.argv.slice(2));
}
