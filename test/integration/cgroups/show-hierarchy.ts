/** Prints what scow finds of cgroup v2, for tests that run it in namespaces of their own. */

import { findHierarchy, ownCgroup } from '../../../runtime/cgroups/hierarchy.ts';
import { containerCgroupPath } from '../../../runtime/cgroups/path.ts';
import { openBunPort } from '../../../runtime/linux/ffi-bun.ts';
import { installPort } from '../../../runtime/linux/port.ts';

installPort(openBunPort);

try {
  const hierarchy = findHierarchy();
  const [own, path] = [ownCgroup(hierarchy), containerCgroupPath({ id: 'c1' }, hierarchy)];
  console.log(JSON.stringify({ ...hierarchy, own, path }));
} catch (error) {
  console.log((error as Error).message);
}
