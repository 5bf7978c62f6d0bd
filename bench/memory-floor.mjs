/**
 * node bench/memory-floor.mjs [RUNS] (after a build, as root, where cgroup v2 has the memory controller):
 * the smallest memory.max at which `run` of /bin/true of busybox still succeeds, in one of RUNS runs and
 * in each of them, found by bisection for scow and for the peers that are installed. Elsewhere in a virtual machine:
 *
 *     node test/vm/boot.mjs --cpus 1 -- node bench/memory-floor.mjs
 *
 * With one processor, for the kernel charges 64 pages at a time where the limit allows it, and keeps what is
 * left of them for the processor that they were charged on: with several, luck decides.
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

/** Whether a container runs under such a limit: `every` time, or else at least once. */
function succeeds(command, bundle, pages, every) {
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
    if (status !== 0) spawnSync(command, ['delete', '--force', ID], { stdio: 'ignore' });
    if ((status === 0) !== every) return !every;
  }
  return every;
}

/** @returns the least number of pages */
function floor(command, bundle, every) {
  if (!succeeds(command, bundle, ENOUGH, every))
    throw new Error(`${command} does not run a container under ${ENOUGH * PAGE} bytes`);
  let [fails, works] = [0, ENOUGH];
  while (works - fails > 1) {
    const middle = (works + fails) >> 1;
    if (succeeds(command, bundle, middle, every)) works = middle;
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
  console.log(`least memory.max in bytes (pages) for run of /bin/true, ${RUNS} runs`);
  console.log('             works once     works always');
  for (const [name, command] of installedRuntimes()) {
    const [once, always] = [false, true].map((every) => floor(command, container, every));
    const columns = [once, always].map((pages) => `${pages * PAGE} (${pages})`.padStart(17));
    console.log(`${name.padEnd(6)}${columns.join('')}`);
  }
} finally {
  endSleeper?.();
  call('umount', bundle);
  rmSync(bundle, { recursive: true });
}
