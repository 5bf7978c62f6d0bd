import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { both, type Edit, runBundle } from '../../helpers/container.ts';
import {
  bundleOf,
  cleanUp,
  ENGINES,
  rootOf,
  running,
  scow,
  testDirectory,
} from '../../helpers/scow.ts';
import { confined } from './calls.ts';
import { ORDINARY } from './profile.ts';

afterEach(cleanUp);

const PROGRAM = running('sh', '-c', 'grep Seccomp: /proc/self/status; exec 2>&1; chroot / true');
const CONFINED = both(PROGRAM, confined(ORDINARY));
const SAID = /^Seccomp:\t2\nchroot: .*Operation not permitted\n$/;

const cache = () => join(rootOf('scow'), '@seccomp');
const entries = () => readdirSync(cache()).map((name) => join(cache(), name));

/** Runs a confined container. @returns whether libseccomp was asked for its program */
function compiles(edit: Edit = CONFINED, bundle = bundleOf(edit)): boolean {
  const { stdout, stderr } = runBundle('bun', bundle, { through: DEBUG });
  expect(stdout).toMatch(SAID);
  return /compiled by libseccomp \d+\.\d+\.\d+\n/.test(stderr);
}

/** Puts --debug among the flags that stand before the command. */
const DEBUG = ['sh', '-c', 'scow=$1; shift; exec "$scow" --debug "$@"', 'sh'];

describe('a compiled profile', () => {
  test('is kept where only its owner can write, and used again', () => {
    expect([compiles(), compiles()]).toEqual([true, false]);
    const [file = '', ...others] = entries();
    expect(others).toEqual([]);
    expect(statSync(cache()).mode & 0o7777).toBe(0o700);
    expect(statSync(file).mode & 0o7777).toBe(0o600);
    expect(scow(['list', '--quiet']).stdout).toBe('');
    // What goes into the kernel beside the program does not matter.
    const flags = { ...ORDINARY, flags: [] };
    expect(compiles(both(PROGRAM, confined(flags)))).toBe(false);
    const other = { ...ORDINARY, defaultErrnoRet: 1, architectures: ['SCMP_ARCH_X86_64' as const] };
    expect(compiles(both(PROGRAM, confined(other)))).toBe(true);
    expect(entries()).toHaveLength(2);
  });

  test("is made anew when it was damaged, or may be somebody else's", () => {
    const bundle = bundleOf(CONFINED);
    const again = () => compiles(CONFINED, bundle);
    expect(again()).toBe(true);
    const [file = ''] = entries();
    const good = readFileSync(file, 'utf8');
    const flipped = good.replace(
      /"program":"(.)/,
      (_, first) => `"program":"${first === 'A' ? 'B' : 'A'}`,
    );
    for (const damaged of ['', '{}', 'null', good.slice(0, -9), flipped]) {
      writeFileSync(file, damaged);
      expect([damaged, again(), again()]).toEqual([damaged, true, false]);
    }
    chmodSync(file, 0o620);
    expect([again(), again()]).toEqual([true, false]);
    chownSync(file, 1000, 1000);
    expect([again(), again()]).toEqual([true, false]);
    renameSync(file, join(testDirectory(), 'elsewhere'));
    symlinkSync(join(testDirectory(), 'elsewhere'), file);
    expect([again(), again()]).toEqual([true, false]);
    chmodSync(cache(), 0o770);
    expect([again(), again()]).toEqual([true, true]);
  });

  test('gives way when there are too many: the oldest files go', () => {
    mkdirSync(cache(), { recursive: true, mode: 0o700 });
    for (let i = 0; i < 80; i++) {
      const file = join(cache(), `old-${i}`);
      writeFileSync(file, '');
      utimesSync(file, 1000 + i, 1000 + i);
    }
    expect([compiles(), compiles()]).toEqual([true, false]);
    const left = readdirSync(cache());
    expect(left).toHaveLength(64);
    expect(left.filter((name) => name.startsWith('old-'))).toHaveLength(63);
    expect(left).not.toContain('old-16');
    expect(left).toContain('old-17');
  });
});

const LIBRARY = realpathSync('/usr/lib/x86_64-linux-gnu/libseccomp.so.2');

/** A command's words for a machine on which something was done to libseccomp. */
function where(change: string): string[] {
  const [folder, overlay] = [dirname(LIBRARY), join(testDirectory(), 'overlay')];
  mkdirSync(overlay, { recursive: true });
  const script = [
    'overlay=$1 folder=$2 library=$3; shift 3',
    'mount -t tmpfs tmpfs "$overlay" && mkdir "$overlay/u" "$overlay/w"',
    'mount -t overlay -o "lowerdir=$folder,upperdir=$overlay/u,workdir=$overlay/w" overlay "$folder"',
    change,
    'exec "$@"',
  ].join(' && ');
  const aside = ['unshare', '--mount', '--propagation=private', 'sh', '-c', script, 'sh'];
  return [...aside, overlay, folder, LIBRARY];
}

describe.each(ENGINES)('libseccomp (%s)', (engine) => {
  test('is not needed for what was compiled before; else its packages are named', () => {
    const bundle = bundleOf(CONFINED);
    const through = where('rm "$folder"/libseccomp.so*');
    // A library of that name where scow is called must not be taken for it.
    copyFileSync(LIBRARY, join(bundle, 'libseccomp.so.2'));
    expect(runBundle(engine, bundle, { through, cwd: bundle })).toMatchObject({
      status: 1,
      stdout: '',
      stderr:
        'scow: a seccomp profile needs libseccomp: libseccomp.so.2: cannot open shared object file: No such file or directory; install the package libseccomp2 (Debian, Ubuntu) or libseccomp (Fedora)  [/linux/seccomp]\n',
    });
    const unconfined = bundleOf(running('echo', 'free'));
    expect(runBundle(engine, unconfined, { through }).stdout).toBe('free\n');
    expect(runBundle(engine, bundle).stdout).toMatch(SAID);
    expect(runBundle(engine, bundle, { through }).stdout).toMatch(SAID);
  });
});

test('another libseccomp than the one that compiled it compiles anew', () => {
  const bundle = bundleOf(CONFINED);
  expect(compiles(CONFINED, bundle)).toBe(true);
  const through = [...where('touch "$library"'), ...DEBUG];
  expect(runBundle('bun', bundle, { through }).stderr).toContain('compiled by libseccomp');
  expect(compiles(CONFINED, bundle)).toBe(true);
});

test('libseccomp is not even looked for without a profile', () => {
  const bundle = bundleOf(running('true'));
  const trace = join(testDirectory(), 'trace');
  const through = ['strace', '-f', '-e', 'trace=openat,open', '-o', trace];
  expect(runBundle('bun', bundle, { through }).status).toBe(0);
  expect(readFileSync(trace, 'utf8')).not.toContain('seccomp');
  expect(spawnSync('ldconfig', ['-p'], { encoding: 'utf8' }).stdout).toContain('libseccomp.so.2');
});
