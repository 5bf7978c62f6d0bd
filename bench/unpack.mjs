/**
 * node bench/unpack.mjs [ROUNDS] (after a build, as root): how long it takes to unpack an image, with
 * scow-bundle and with what else does it, in turn, in memory (tmpfs) so that no disk decides. Two
 * images of one layer each: a Debian that debootstrap makes, and 50,000 small files. `tar` checks
 * nothing, the others check digests.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROUNDS = Number(process.argv[2] ?? 5);
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const scowBundle = join(root, 'build/scow-bundle');
/** A file system in memory that every Linux machine has. */
const MEMORY = '/dev/shm';
const TICKS = 100;

function sh(script, cwd) {
  const { status, stderr } = spawnSync('bash', ['-euc', script], { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${script}: ${stderr.trim()}`);
}

/** The trees whose layers are measured: what makes them, in the current folder's `tree`. */
const TREES = {
  'a Debian': `debootstrap bookworm tree >debootstrap.log`,
  '50,000 small files': `mkdir tree && python3 - <<'END'
import os
for d in range(500):
    os.makedirs(f'tree/{d // 25}/{d}')
    for f in range(100):
        with open(f'tree/{d // 25}/{d}/{f}', 'wb') as out:
            out.write((f'{d} {f} ' * 400)[: 300 + (d * 131 + f * 977) % 3800].encode())
END`,
};

/** @returns a layout with the tag `one`, whose only layer is the tree, and that layer's blob */
function makeImage(folder, script) {
  mkdirSync(folder);
  sh(script, folder);
  sh('tar --numeric-owner -C tree -cf layer.tar . && rm -rf --one-file-system tree', folder);
  sh('umoci init --layout layout && umoci new --image layout:one', folder);
  sh('umoci raw add-layer --image layout:one layer.tar', folder);
  const json = (file) => JSON.parse(readFileSync(join(folder, 'layout', file), 'utf8'));
  const blob = (digest) => `blobs/${digest.replace(':', '/')}`;
  const [{ digest }] = json('index.json').manifests;
  const [layer] = json(blob(digest)).layers;
  const bytes = readFileSync(join(folder, 'layer.tar')).byteLength;
  rmSync(join(folder, 'layer.tar'));
  return {
    layout: join(folder, 'layout'),
    blob: join(folder, 'layout', blob(layer.digest)),
    bytes,
  };
}

/** Who unpacks: the commands, into a directory that does not exist yet. */
const UNPACKERS = {
  'tar -xzf': ({ blob }, out) => ['bash', '-c', `mkdir ${out} && tar -xzf ${blob} -C ${out}`],
  umoci: ({ layout }, out) => ['umoci', 'unpack', '--image', `${layout}:one`, out],
  'skopeo+buildah': ({ layout }, out) => [
    'bash',
    '-ec',
    `export STORAGE_DRIVER=vfs CONTAINERS_STORAGE_CONF=/dev/null
    skopeo copy -q oci:${layout}:one "containers-storage:[vfs@${out}/graph+${out}/run]localhost/bench:one"
    buildah --root ${out}/graph --runroot ${out}/run --storage-driver vfs from --pull-never localhost/bench:one`,
  ],
  'scow-bundle': ({ layout }, out) => [
    scowBundle,
    'unpack',
    '--quiet',
    '--image',
    `${layout}:one`,
    out,
  ],
};

/** Seconds of processor time of all children that were waited for, proc_pid_stat(5). */
function childrenTime() {
  const fields = readFileSync('/proc/self/stat', 'latin1').split(') ')[1].split(' ');
  return (Number(fields[13]) + Number(fields[14])) / TICKS;
}

/** The most memory that a process and its children had at one of many moments, in bytes. */
function residentOf(pid) {
  try {
    const own = /^VmHWM:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
    const below = children === '' ? [] : children.split(' ').map(residentOf);
    return Math.max(Number(own?.[1] ?? 0) * 1024, ...below);
  } catch {
    return 0;
  }
}

async function time([command, ...args]) {
  const cpu = childrenTime();
  const before = process.hrtime.bigint();
  let memory = 0;
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const watch = setInterval(() => {
    memory = Math.max(memory, residentOf(child.pid));
  }, 20);
  const status = await new Promise((resolve) => child.on('close', resolve));
  clearInterval(watch);
  const wall = Number(process.hrtime.bigint() - before) / 1e9;
  if (status !== 0) throw new Error(`${command}: ${stderr.trim()}`);
  return { wall, cpu: childrenTime() - cpu, memory };
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

async function measure(folder, name, image) {
  console.log(`\n${name}: ${(image.bytes / 1e6).toFixed(0)} MB of tar, ${ROUNDS} times each`);
  console.log('                    least   median  processor   memory  of tar’s median');
  const results = Object.fromEntries(Object.keys(UNPACKERS).map((who) => [who, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [who, command] of Object.entries(UNPACKERS)) {
      const out = join(folder, 'out');
      results[who].push(await time(command(image, out)));
      sh(`rm -rf --one-file-system ${out}`);
    }
  }
  const reference = median(results['tar -xzf'].map(({ wall }) => wall));
  for (const [who, list] of Object.entries(results)) {
    const walls = list.map(({ wall }) => wall);
    const numbers = [
      `${Math.min(...walls).toFixed(2)} s`,
      `${median(walls).toFixed(2)} s`,
      `${median(list.map(({ cpu }) => cpu)).toFixed(2)} s`,
      `${(Math.max(...list.map(({ memory }) => memory)) / 1e6).toFixed(0)} MB`,
      (median(walls) / reference).toFixed(2),
    ];
    console.log(`${who.padEnd(16)}${numbers.map((text) => text.padStart(9)).join('')}`);
  }
}

if (!existsSync(scowBundle)) throw new Error(`${scowBundle} is missing: npm run build`);
const folder = mkdtempSync(join(MEMORY, 'scow-bench-'));
try {
  console.log(
    `Linux ${release()}, ${cpus().length} × ${cpus()[0].model}, ${(totalmem() / 1e9).toFixed(0)} GB`,
  );
  for (const [i, [name, script]] of Object.entries(TREES).entries()) {
    const image = makeImage(join(folder, String(i)), script);
    await measure(folder, name, image);
    rmSync(join(folder, String(i)), { recursive: true });
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
