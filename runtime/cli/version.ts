import { VERSION } from '../../schemas/version.ts';
import { SPEC_VERSION } from '../container/state.ts';
import { print } from '../linux/output.ts';

/** Prints the versions in lines whose first words engines know. @returns the exit status, 0 */
export function printVersion(): number {
  const { bun, node } = process.versions;
  const engine = bun === undefined ? `node ${node}` : `bun ${bun}`;
  print(`scow version ${VERSION}\nspec: ${SPEC_VERSION}\nengine: ${engine}\n`);
  return 0;
}
