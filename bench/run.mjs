/**
 * npm run bench [ROUNDS] (after a build, as root): how long `run` of /bin/true takes with scow and
 * with the peers that are installed, in turn, so that all see the same machine. An idle machine
 * gives numbers worth reading.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { installedRuntimes, makeBundle, startSleeper } from './bundle.mjs';

const ROUNDS = Number(process.argv[2] ?? 60);
const WARM_UP = 3;

/** Where a machine with hybrid cgroups has v2. crun looks for it at /sys/fs/cgroup alone. */
const UNIFIED = '/sys/fs/cgroup/unified';

/** Set where the mounts are as on most hosts. */
const PREPARED = 'SCOW_BENCH_PREPARED';

/**
 * Runs this program again in a mount namespace of its own, in which mounts are as on most hosts:
 * /sys/fs/cgroup is v2, and /run, where all runtimes keep their state, is in memory.
 */
function runAgainPrepared() {
  const v2 = existsSync(UNIFIED) ? `mount --bind ${UNIFIED} /sys/fs/cgroup && ` : '';
  const script = `${v2}mount -t tmpfs -o mode=755 tmpfs /run && exec "$@"`;
  const again = ['sh', '-c', script, 'sh', process.execPath, ...process.argv.slice(1)];
  return spawnSync('unshare', ['--mount', '--propagation', 'private', ...again], {
    stdio: 'inherit',
    env: { ...process.env, [PREPARED]: '1' },
  }).status;
}

/** crun can't load device rules where it lacks CAP_SYS_RESOURCE: it alone gets none. */
function withoutResources(config) {
  delete config.linux.resources;
}

/** @returns {number} milliseconds */
function time(command, bundle) {
  const before = process.hrtime.bigint();
  const { status, stderr } = spawnSync(command, ['run', '--bundle', bundle, 'scow-bench'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  const duration = Number(process.hrtime.bigint() - before) / 1e6;
  if (status !== 0) throw new Error(`${command}: ${stderr.trim()}`);
  return duration;
}

function summary(times) {
  const sorted = times.toSorted((a, b) => a - b);
  const mean = sorted.reduce((a, b) => a + b) / sorted.length;
  return { least: sorted[0], median: sorted[sorted.length >> 1], mean };
}

function measure(bundles) {
  const installed = installedRuntimes();
  const times = Object.fromEntries(installed.map(([name]) => [name, []]));
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    for (const [name, command] of installed) {
      const duration = time(command, bundles[name] ?? bundles.full);
      if (round >= 0) times[name].push(duration);
    }
  }
  const rows = Object.entries(times).map(([name, list]) => [name, summary(list)]);
  const runc = rows.find(([name]) => name === 'runc')?.[1].mean;
  for (const [name, { least, median, mean }] of rows) {
    const numbers = [least, median, mean].map((ms) => ms.toFixed(1).padStart(8));
    console.log(`${name.padEnd(8)}${numbers.join('')}${(mean / runc).toFixed(2).padStart(8)}`);
  }
}

if (process.env[PREPARED] === undefined) process.exit(runAgainPrepared() ?? 1);
const folder = mkdtempSync(join(tmpdir(), 'scow-bench-'));
let endSleeper;
try {
  const bundles = {
    full: makeBundle(join(folder, 'full'), ['true'], () => {}),
    crun: makeBundle(join(folder, 'plain'), ['true'], withoutResources),
  };
  endSleeper = startSleeper(join(folder, 'sleeper'));
  console.log(`Linux ${release()}, ${cpus().length} × ${cpus()[0].model}`);
  console.log(`run of /bin/true, ${ROUNDS} times each, milliseconds`);
  console.log('           least  median    mean  of runc’s');
  measure(bundles);
} finally {
  endSleeper?.();
  rmSync(folder, { recursive: true });
}
