/**
 * Completes package-lock.json after `npm install` with a registry that does not carry the
 * builds of some packages for other platforms: npm leaves those out of the lock file, and
 * `npm ci` then refuses it wherever they can be found. Their exact versions are in the packages
 * that ask for them; the platform is in their names. Run: node scripts/complete-lock.mjs
 */
import { readFileSync, writeFileSync } from 'node:fs';

const FILE = 'package-lock.json';
const SYSTEMS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const PROCESSORS = [
  'arm64',
  'x64',
  'ia32',
  'arm',
  'loong64',
  'ppc64',
  'riscv64',
  's390x',
  'wasm32',
];

/** The entry of a package whose name tells its platform, such as @biomejs/cli-linux-x64-musl. */
function entryOf(name, version, dev) {
  const words = name.split('/').pop().split('-');
  const os = SYSTEMS.find((system) => words.includes(system));
  const cpu = PROCESSORS.find((processor) => words.includes(processor));
  // WebAssembly is of no system.
  if (cpu === undefined || (os === undefined && cpu !== 'wasm32'))
    throw new Error(`the platform of ${name} is unknown`);
  const musl = words.some((word) => word.startsWith('musl'));
  const libc = os === 'linux' && { libc: [musl ? 'musl' : 'glibc'] };
  return {
    version,
    cpu: [cpu],
    ...(dev && { dev }),
    ...libc,
    optional: true,
    ...(os && { os: [os] }),
  };
}

const lock = JSON.parse(readFileSync(FILE, 'utf8'));
for (const { optionalDependencies = {}, dev } of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    if (!/^\d/.test(version)) continue;
    lock.packages[`node_modules/${name}`] ??= entryOf(name, version, dev);
  }
}
const byPath = ([a], [b]) => (a < b ? -1 : 1);
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(byPath));
writeFileSync(FILE, `${JSON.stringify(lock, undefined, 2)}\n`);
