/** remove.ts PATH LIMIT: removes a cgroup, for tests that run this in namespaces of their own. */

import { Cgroup } from '../../../runtime/cgroups/cgroup.ts';
import { openBunPort } from '../../../runtime/linux/ffi-bun.ts';
import { installPort } from '../../../runtime/linux/port.ts';

installPort(openBunPort);

const [path = '', limit] = process.argv.slice(2);
try {
  Cgroup.at(path).remove(Number(limit));
} catch (error) {
  console.log((error as Error).message);
}
