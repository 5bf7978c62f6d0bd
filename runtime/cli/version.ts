import { VERSION } from '../../schemas/version.ts';
import { SPEC_VERSION } from '../container/state.ts';
import { print } from '../linux/output.ts';

/** The commit that the executable was built from; scripts/build.mjs defines it where it knows. */
declare const BUILT_FROM: string | undefined;

/** Prints the versions in lines whose first words engines know. @returns the exit status, 0 */
export function printVersion(): number {
  const { bun, node } = process.versions;
  const engine = bun === undefined ? `node ${node}` : `bun ${bun}`;
  const commit = typeof BUILT_FROM === 'string' ? `commit: ${BUILT_FROM}\n` : '';
  print(`scow version ${VERSION}\n${commit}spec: ${SPEC_VERSION}\nengine: ${engine}\n`);
  return 0;
}
