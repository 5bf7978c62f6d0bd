import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { readRecord } from '../../../../bundle/existing/record.ts';
import { layerDirectory } from '../../../../bundle/store/files.ts';
import { scowBundle } from '../../../helpers/bundler.ts';
import {
  both,
  type Edit,
  portable,
  processOf,
  type Runtime,
  runBundle,
} from '../../../helpers/container.ts';
import { debianImage } from '../../../helpers/debian-image.ts';
import { home } from '../../../helpers/places/home-per-file.ts';
import { reachableBuild } from '../../../helpers/reachable-build.ts';
import { cleanUp, type EditableConfig, ENGINES, newId } from '../../../helpers/scow.ts';
import { differences, type FileRecord, readTree } from '../../../helpers/tree.ts';

// The main job on real input: a Debian image of several layers, made by other tools, becomes a
// bundle that equals umoci's entry for entry, and runs under every runtime alike.

jest.setTimeout(900_000);

const RUNTIMES: readonly Runtime[] = ['bun', 'node', 'runc', 'crun'];

const SETTINGS = [
  ...['--config.env', 'LANG=C.UTF-8', '--config.env', 'EMPTY=', '--config.env', 'X=a=b c'],
  ...['--config.workingdir', '/srv', '--config.volume', '/data', '--config.volume', '/home/app'],
];

let image: string;

beforeAll(() => {
  image = `${debianImage(home)}:debian`;
  execFileSync('umoci', ['config', '--image', image, ...SETTINGS]);
});
afterEach(cleanUp);

const DONE = { status: 0, stdout: '', stderr: '' };

/** What a shell sees in a bundle, as far as it is not the runtime's choice. */
const LOOK = String.raw`
  id; pwd; umask; tty; ulimit -a; env | sort
  cat /etc/os-release /proc/sys/kernel/hostname /proc/1/oom_score_adj
  dpkg --version; dpkg-query -W bash libc6
  grep -E '^(Uid|Gid|Groups|NoNewPrivs|Seccomp|Cap|Sig[BIC]|Shd)' /proc/self/status
  # How a path is masked, and which cgroup hierarchies there are, is the runtime's choice.
  while read -r _ where type options _; do echo "$where $type $options"; done \
    </proc/self/mounts | grep -Ev '^/(proc/|sys/)' | sort
  cat /proc/keys /proc/timer_list; ls /proc/acpi /sys/firmware
  # Some link /dev/core to /proc/kcore, which is masked.
  stat -c '%A %u:%g %t:%T %N' /dev/* /dev/pts/* / /proc /sys /srv /data /home/app |
    grep -v /dev/core
  ls -lA --time-style=full-iso /etc /opt /srv/names; ls /proc/self/fd
  exit 7`;

/** What a program of an ordinary user may do by its file's mode and capabilities. */
const RIGHTS = `
  id; id -u; tac /etc/shadow; cat /etc/shadow; echo mine > /home/app/file; cat /home/app/file; > /data/file
  cat-that-binds /proc/self/status | grep -E '^(Cap|NoNewPrivs)'
  # It has capabilities that nobody in the container may get.
  vdir /; echo $?
  cat /srv/nodes/null; echo $?`;

const asApp: Edit = (config) => {
  const { env = [] } = processOf(config);
  processOf(config).env = [...env, 'PATH=/usr/local/bin:/usr/bin:/bin'];
  processOf(config).user = { uid: 1000, gid: 1000, additionalGids: [77] };
};
const mayGainPrivileges: Edit = (config) => {
  processOf(config).noNewPrivileges = false;
};
const asItIs: Edit = () => undefined;

describe('as root', () => {
  const bundleBy = (engine: string) => join(home, `bundle-${engine}`);

  let expected: Map<string, FileRecord>;
  beforeAll(() => {
    execFileSync('umoci', ['unpack', '--image', image, join(home, 'expected')], { stdio: 'pipe' });
    expected = readTree(join(home, 'expected/rootfs'));
    expect(expected.size).toBeGreaterThan(2000);
  });

  test('the tree is the one that umoci unpacks, entry for entry', () => {
    const bundle = bundleBy('bun');
    expect(scowBundle(['unpack', '--image', image, bundle])).toEqual(DONE);
    expect(differences(expected, readTree(join(bundle, 'rootfs')))).toEqual([]);
  });

  test('under Node.js it is the same, from an archive by skopeo with layers in zstd', () => {
    const archive = join(home, 'archive.tar');
    const zstd = ['--dest-compress', '--dest-compress-format', 'zstd'];
    const words = ['copy', ...zstd, `oci:${image}`, `oci-archive:${archive}:v1`];
    execFileSync('skopeo', words, { stdio: 'pipe' });
    const bundle = bundleBy('node');
    const args = ['unpack', '--image', `${archive}:v1`, bundle];
    expect(scowBundle(args, { engine: 'node' })).toEqual(DONE);
    expect(differences(expected, readTree(join(bundle, 'rootfs')))).toEqual([]);
    const [first, second] = ENGINES.map((by) =>
      readFileSync(join(bundleBy(by), 'config.json'), 'utf8'),
    );
    expect(first).toBe(second);
  });

  test.each<[string, readonly number[], object, readonly string[]]>([
    ['mounted from layers', [], {}, []],
    ['copied from them', [1, 4], {}, ['--copy']],
    ['mounted, when some layers were lost', [0, 1, 2, 3, 4], {}, []],
    ['mounted, by Node.js', [], { engine: 'node' }, []],
  ])('%s, it is the same', (_, lost, engine, flags) => {
    const store = join(home, 'store');
    const bundle = join(home, 'made');
    const layers = () => readRecord(bundle).layers.map((id) => layerDirectory(store, id, 'full'));
    expect(
      scowBundle(['--store', store, 'create', ...flags, `oci:${image}`, bundle], engine),
    ).toEqual(DONE);
    try {
      expect(differences(expected, readTree(join(bundle, 'rootfs')))).toEqual([]);
      expect(readdirSync(join(store, 'tmp'))).toEqual([]);
    } finally {
      const made = layers();
      expect(scowBundle(['delete', bundle])).toEqual(DONE);
      for (const i of lost) rmSync(made[i] as string, { recursive: true });
    }
  });

  /** What a shell script prints in the bundle, and its status. */
  function run(runtime: Runtime, script: string, edit: Edit) {
    const bundle = bundleBy('bun');
    const config = JSON.parse(readFileSync(join(bundleBy('node'), 'config.json'), 'utf8'));
    // crun may be unable to load device rules.
    both(runtime === 'crun' ? portable : asItIs, edit)(config as EditableConfig);
    config.process.args = ['/bin/bash', '-c', script];
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
    const { status, stdout, stderr } = runBundle(runtime, bundle);
    return { status, lines: stdout.split('\n'), errors: stderr.split('\n') };
  }

  test.each<[string, Edit, string, object]>([
    [
      'root',
      asItIs,
      LOOK,
      {
        status: 7,
        lines: expect.arrayContaining([
          'uid=0(root) gid=0(root) groups=0(root)',
          'ID=debian',
          'X=a=b c',
          "drwxr-xr-x 0:0 0:0 '/data'",
          "drwxr-s--- 1000:1000 0:0 '/home/app'",
        ]),
        errors: [''],
      },
    ],
    [
      'a user',
      asApp,
      RIGHTS,
      {
        lines: expect.arrayContaining([
          'uid=1000(app) gid=1000 groups=1000,77(audio2)',
          'CapEff:\t0000000000000000',
          'mine',
        ]),
      },
    ],
    [
      'a user who may gain privileges',
      both(asApp, mayGainPrivileges),
      RIGHTS,
      { lines: expect.arrayContaining(['0', 'CapEff:\t0000000000000400']) },
    ],
  ])('the shell of %s sees the same under every runtime', (_, edit, script, expected) => {
    const [first, ...others] = RUNTIMES.map((runtime) => run(runtime, script, edit));
    expect(first).toMatchObject(expected);
    for (const other of others) expect(other).toEqual(first);
  });
});

test('an ordinary user gets the tree of umoci unpack --rootless, and a shell in it', () => {
  const user = 65534;
  const mine = join(home, 'mine');
  mkdirSync(mine);
  chownSync(mine, user, user);
  chmodSync(home, 0o755);
  // umoci makes blobs that only their owner may read.
  execFileSync('chmod', ['-R', 'a+rX', join(home, 'layout')]);
  const build = reachableBuild(home);
  const identity = [`--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
  const asUser = (...command: string[]) => {
    const { status, stdout, stderr } = spawnSync('setpriv', [...identity, ...command], {
      encoding: 'utf8',
      cwd: mine,
      env: { PATH: process.env.PATH, HOME: mine },
    });
    return { status, stdout, stderr };
  };
  const by = ['unpack', '--rootless', '--image', image];
  expect(asUser('umoci', ...by, 'expected')).toMatchObject({ status: 0 });
  expect(asUser(join(build, 'scow-bundle'), 'unpack', '--image', image, 'bundle')).toEqual({
    ...DONE,
    stderr: expect.stringMatching(
      /^(scow-bundle: warning: .*(an empty file takes the place of a device|security.capability is left out: it takes a privilege) \(told once\)\n){2}$/,
    ),
  });
  const expected = readTree(join(mine, 'expected/rootfs'));
  // umoci notes no owner of a file that nobody may write to.
  expect(differences(expected, readTree(join(mine, 'bundle/rootfs')))).toEqual([
    'etc/shadow: xattrs is "user.rootlesscontainers=0807102a" instead of ""',
  ]);
  const file = join(mine, 'bundle/config.json');
  const config = JSON.parse(readFileSync(file, 'utf8'));
  config.process.args = ['/bin/bash', '-c', 'id -un; cat /etc/os-release; > /new; exit 7'];
  writeFileSync(file, JSON.stringify(config));
  const run = ['--root', join(mine, 'state'), 'run', '--bundle', 'bundle', newId()];
  expect(asUser(join(build, 'scow'), ...run)).toEqual({
    status: 7,
    stdout: expect.stringMatching(/^root\nPRETTY_NAME="Debian/),
    stderr: '',
  });
  expect(statSync(join(mine, 'bundle/rootfs/new')).uid).toBe(user);
});
