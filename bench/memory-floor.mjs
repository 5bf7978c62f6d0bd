/**
 * node bench/memory-floor.mjs [RUNS] (after a build, as root, where cgroup v2 has the memory controller):
 * the smallest memory.max at which `run` of /bin/true of busybox still succeeds, in each of RUNS runs,
 * found by bisection for scow and for the peers that are installed. Elsewhere in a virtual machine:
 *
 *     node test/vm/boot.mjs -- node bench/memory-floor.mjs
 *
 * The root filesystem is a tmpfs that was filled before, so that no runtime is charged for reading it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { installedRuntimes, makeBundle, startSleeper } from './bundle.mjs';

const RUNS = Number(process.argv[2] ?? 10);
const PAGE = 4096;
/** Pages with which everybody succeeds. */
const ENOUGH = (64 * 1024 * 1024) / PAGE;
/** Milliseconds. A runtime may wait for ever for an init that was killed. */
const PATIENCE = 60_000;
const ID = `scow-memory-floor-${process.pid}`;

/** Whether a container runs under such a limit as often as it is tried. */
function succeeds(command, bundle, pages) {
  const file = join(bundle, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8'));
  const bytes = pages * PAGE;
  config.linux.cgroupsPath = `/${ID}`;
  config.linux.resources.memory = { limit: bytes, swap: bytes };
  writeFileSync(file, JSON.stringify(config));
  for (let run = 0; run < RUNS; run++) {
    const { status } = spawnSync(command, ['run', '--bundle', bundle, ID], {
      stdio: 'ignore',
      timeout: PATIENCE,
      killSignal: 'SIGKILL',
    });
    if (status === 0) continue;
    spawnSync(command, ['delete', '--force', ID], { stdio: 'ignore' });
    return false;
  }
  return true;
}

/** @returns the least number of pages */
function floor(command, bundle) {
  if (!succeeds(command, bundle, ENOUGH))
    throw new Error(`${command} does not run a container under ${ENOUGH * PAGE} bytes`);
  let [fails, works] = [0, ENOUGH];
  while (works - fails > 1) {
    const middle = (works + fails) >> 1;
    if (succeeds(command, bundle, middle)) works = middle;
    else fails = middle;
  }
  return works;
}

function call(command, ...args) {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command}: ${stderr.trim()}`);
}

const bundle = mkdtempSync(join(tmpdir(), 'scow-memory-floor-'));
call('mount', '-t', 'tmpfs', 'scow-memory-floor', bundle);
let endSleeper;
try {
  const container = makeBundle(join(bundle, 'true'), ['true'], () => {});
  endSleeper = startSleeper(join(bundle, 'sleeper'));
  console.log(`Linux ${release()}, ${cpus().length} × ${cpus()[0].model}`);
  console.log(`least memory.max for run of /bin/true, ${RUNS} of ${RUNS} runs`);
  for (const [name, command] of installedRuntimes()) {
    const pages = floor(command, container);
    const numbers = [`${pages * PAGE}`.padStart(10), `${pages}`.padStart(6)];
    console.log(`${name.padEnd(6)}${numbers[0]} bytes${numbers[1]} pages`);
  }
} finally {
  endSleeper?.();
  call('umount', bundle);
  rmSync(bundle, { recursive: true });
}
