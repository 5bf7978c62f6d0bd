import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The executable that `npm run build` makes. */
const SCOW = join(dirname(dirname(fileURLToPath(import.meta.url))), 'build/scow');

/** Those of scow and its peers that are installed, by name. */
export function installedRuntimes() {
  const all = { runc: 'runc', crun: 'crun', scow: SCOW };
  return Object.entries(all).filter(
    ([, command]) => spawnSync(command, ['--version']).status === 0,
  );
}

/** A bundle of busybox with `scow spec`'s configuration, changed by `change`. */
export function makeBundle(folder, args, change) {
  mkdirSync(join(folder, 'rootfs/bin'), { recursive: true });
  for (const name of ['dev', 'proc', 'sys']) mkdirSync(join(folder, 'rootfs', name));
  copyFileSync('/bin/busybox', join(folder, 'rootfs/bin/busybox'));
  const { stderr, status } = spawnSync(SCOW, ['spec'], { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(`scow spec: ${stderr}`);
  const file = join(folder, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8'));
  config.process.terminal = false;
  config.process.args = ['/bin/busybox', ...args];
  change(config);
  writeFileSync(file, JSON.stringify(config));
  return folder;
}

/**
 * Has a container sleep meanwhile. It keeps a device program attached somewhere, as a host with
 * systemd has it anyway: when the first is attached and the last goes, the kernel patches its own
 * code, which takes up to 50 ms and would be counted as scow's.
 *
 * @returns what ends it
 */
export function startSleeper(folder) {
  const id = `scow-bench-keeper-${process.pid}`;
  const bundle = makeBundle(folder, ['sleep', '3600'], () => {});
  // Its streams stay open as long as it sleeps: none of them may be ours to wait for.
  spawnSync(SCOW, ['run', '--detach', '--bundle', bundle, id], { stdio: 'ignore' });
  return () => spawnSync(SCOW, ['delete', '--force', id]);
}
