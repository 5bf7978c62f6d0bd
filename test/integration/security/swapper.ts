/**
 * Exchanges pairs of names as fast as the kernel can, until it is killed: an attacker who shares
 * a filesystem with a container that is being made. Run by Bun: `swapper.ts A B [C D …]`.
 */
import { AT } from '../../../runtime/linux/constants.ts';
import { openBunPort } from '../../../runtime/linux/ffi-bun.ts';
import { installPort } from '../../../runtime/linux/port.ts';
import { batch, type Call } from '../../../runtime/linux/syscall.ts';

const RENAME_EXCHANGE = 2;
const AT_ONCE = 5000;

installPort(openBunPort);
const names = process.argv.slice(2);
const exchanges = Array.from({ length: AT_ONCE }, (_, i): Call => {
  const at = (2 * i) % names.length;
  const [a = '', b = ''] = names.slice(at, at + 2);
  return { name: 'renameat2', args: [AT.FDCWD, a, AT.FDCWD, b, RENAME_EXCHANGE] };
});
const results = batch(exchanges);
if (results.some((result) => result < 0))
  throw new Error(`renameat2: ${results.find((r) => r < 0)}`);
process.stdout.write('swapping\n');
for (;;) batch(exchanges);
