/** Images with something else in the place of a file that the runtime reads, makes or mounts on. */

import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { startTimeOf } from '../../../runtime/container/process.ts';
import { both, type Edit, shell } from '../../helpers/container.ts';
import { TerminalReceiver } from '../../helpers/recvtty.ts';
import {
  bundleOf,
  cleanUp,
  ENGINES,
  newId,
  type Result,
  scow,
  testDirectory,
} from '../../helpers/scow.ts';
import { makeCanary, picture } from './host.ts';

afterEach(cleanUp);

function image(rootfs: (path: string) => void, edit: Edit = () => {}): string {
  const bundle = bundleOf((config) => {
    config.root = { path: 'rootfs', readonly: false };
    if (config.process) config.process.args = ['/bin/true'];
    edit(config);
  });
  rootfs(join(bundle, 'rootfs'));
  return bundle;
}

function run(bundle: string, engine: 'node' | 'bun' = 'bun'): Result {
  return scow(['run', '--bundle', bundle, newId()], { engine });
}

const withoutDev: Edit = (config) => {
  config.mounts = (config.mounts ?? []).filter(({ destination }) => destination !== '/dev');
};

const inUserNamespace: Edit = ({ linux }) => {
  linux?.namespaces?.push({ type: 'user' });
  if (!linux) return;
  linux.uidMappings = [{ containerID: 0, hostID: 0, size: 65536 }];
  linux.gidMappings = [{ containerID: 0, hostID: 0, size: 65536 }];
};

/** What an image can have in a place, by the words of mknod(1), or its content. */
const THINGS: readonly (readonly [thing: string, make: (file: string, canary: string) => void])[] =
  [
    ['a file', (file) => writeFileSync(file, 'of the image\n')],
    ['a directory', (file) => mkdirSync(file)],
    ['a FIFO', (file) => spawnSync('mkfifo', [file])],
    ['another device', (file) => spawnSync('mknod', [file, 'c', '1', '8'])],
    ['a block device', (file) => spawnSync('mknod', [file, 'b', '1', '3'])],
    ['a symlink to the host', (file, canary) => symlinkSync(join(canary, 'null'), file)],
    ['a dangling symlink', (file) => symlinkSync('/nowhere/at/all', file)],
    ['a magic link', (file) => symlinkSync('/proc/self/fd/0', file)],
  ];

describe.each(THINGS)('%s in the image', (_, make) => {
  test.each([
    ['', () => {}],
    [' of a user namespace', inUserNamespace],
  ] as const)('is not taken for /dev/null%s', (__, edit) => {
    const canary = makeCanary();
    const bundle = image(
      (rootfs) => make(join(rootfs, 'dev/null'), canary),
      both(shell('echo hidden > /dev/null; stat -c %t:%T /dev/null'), withoutDev, edit),
    );
    const before = picture(canary);
    const { status, stdout, stderr } = run(bundle);
    expect(picture(canary)).toEqual(before);
    if (status === 0) expect(stdout).toBe('1:3\n');
    else
      expect(stderr).toMatch(/^scow: cannot make the device \/dev\/null.*\[\/linux\/devices\]\n$/);
  });

  test('in the place of a terminal or its multiplexer is not opened', async () => {
    for (const place of ['dev/console', 'dev/ptmx', 'dev/pts', 'dev/pts/ptmx']) {
      const canary = makeCanary();
      const bundle = image(
        (rootfs) => {
          mkdirSync(dirname(join(rootfs, place)), { recursive: true });
          make(join(rootfs, place), canary);
        },
        (config) => {
          config.mounts = (config.mounts ?? []).filter(
            ({ destination }) =>
              destination !== '/dev' &&
              (!place.startsWith('dev/pts') || destination !== '/dev/pts'),
          );
          if (config.process) config.process.terminal = true;
        },
      );
      const receiver = new TerminalReceiver(join(testDirectory(), 'tty'));
      try {
        const before = picture(canary);
        const { status, stderr } = scow(
          ['create', '--bundle', bundle, '--console-socket', receiver.path, newId()],
          { engine: 'bun' },
        );
        expect(stderr).toMatch(status === 0 ? /^$/ : /^scow: .+\n$/);
        expect(picture(canary)).toEqual(before);
      } finally {
        receiver.close();
      }
    }
  });
});

const HOME: Edit = shell('echo $HOME');

describe.each(ENGINES)('/etc/passwd (%s)', (engine) => {
  const homeWith = (make: (file: string, bundle: string) => void) => {
    const bundle = image((rootfs) => {
      rmSync(join(rootfs, 'etc/passwd'));
      make(join(rootfs, 'etc/passwd'), dirname(rootfs));
    }, HOME);
    const { status, stdout, stderr } = run(bundle, engine);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return stdout;
  };

  test('a FIFO is not even opened', () => {
    let writer: ReturnType<typeof spawn> | undefined;
    const home = homeWith((file) => {
      spawnSync('mkfifo', [file]);
      // The shell waits until somebody opens the other end.
      writer = spawn('sh', ['-c', `echo 'root:x:0:0::/fifo:' > "$0"`, file], { stdio: 'ignore' });
    });
    expect(home).toBe('/\n');
    expect(startTimeOf(writer?.pid ?? 0)).toBeDefined();
    writer?.kill('SIGKILL');
  });

  test('a huge file is read in part', () => {
    const home = homeWith((file) => {
      writeFileSync(file, 'root:x:0:0::/huge:\n');
      const fd = openSync(file, 'r+');
      ftruncateSync(fd, 1e12);
      closeSync(fd);
    });
    expect(home).toBe('/huge\n');
  });

  test('a symlink leads into the image, never to the host', () => {
    const canary = makeCanary();
    writeFileSync(join(canary, 'file'), 'root:x:0:0::/host:\n');
    for (const to of [join(canary, 'file'), `${'../'.repeat(30)}${canary}/file`])
      expect(homeWith((file) => symlinkSync(to, file))).toBe('/\n');
    const home = homeWith((file) => {
      symlinkSync('../etc/./other', file);
      writeFileSync(join(dirname(file), 'other'), 'root:x:0:0::/other:\n');
    });
    expect(home).toBe('/other\n');
  });

  test.each(['/proc/self/fd/0', '/proc/kmsg', '/proc/self/mem', '/sys/kernel/profiling', '/etc'])(
    'a symlink to %s counts as empty',
    (target) => {
      expect(homeWith((file) => symlinkSync(target, file))).toBe('/\n');
    },
  );

  test.each([
    ['c', '1', '5'],
    ['c', '5', '2'],
    ['b', '7', '0'],
  ])('the device %s %s:%s is not opened', (...node) => {
    expect(homeWith((file) => spawnSync('mknod', [file, ...node]))).toBe('/\n');
  });
});

describe('kernel parameters', () => {
  test('are not written to files of the image', () => {
    const path = 'proc/sys/net/ipv4/ip_default_ttl';
    const bundle = image(
      (rootfs) => {
        mkdirSync(join(rootfs, dirname(path)), { recursive: true });
        writeFileSync(join(rootfs, path), 'of the image\n');
      },
      both(shell(`cat /${path}`), (config) => {
        config.mounts = (config.mounts ?? []).filter(({ destination }) => destination !== '/proc');
        config.mounts.push({ destination: '/real', type: 'proc', source: 'proc' });
        if (config.process)
          config.process.args?.splice(2, 1, `cat /${path} /real/${path.slice(5)}`);
        if (config.linux) config.linux.sysctl = { 'net.ipv4.ip_default_ttl': '77' };
      }),
    );
    const host = readFileSync(`/${path}`, 'latin1');
    expect(run(bundle)).toMatchObject({ status: 0, stdout: 'of the image\n77\n', stderr: '' });
    expect(readFileSync(`/${path}`, 'latin1')).toBe(host);
    expect(readFileSync(join(bundle, 'rootfs', path), 'latin1')).toBe('of the image\n');
  });

  test.each([
    'kernel.panic',
    'net/../kernel/panic',
    'net/../../sysrq-trigger',
    'net.ipv4./../../../kernel.panic',
    '/proc/sys/kernel/panic',
    '../sys/net',
    'net/self',
    'kernel.hostname',
  ])('%s is refused', (name) => {
    const canary = makeCanary();
    const before = picture(canary);
    const bundle = image(
      () => {},
      (config) => {
        if (config.linux) config.linux.sysctl = { [name]: '0' };
      },
    );
    const { status, stderr } = run(bundle);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^scow: .+\n$/);
    expect(stderr).toContain(`/linux/sysctl/${name.replaceAll('/', '~1')}`);
    expect(picture(canary)).toEqual(before);
  });
});

test.each(['/', '//', '/.', '/x/..', '/proc/self/fd/3', '/proc/self/root', '/proc/1/cwd/x'])(
  'nothing is mounted on %s',
  (destination) => {
    const bundle = image(
      () => {},
      (config) => {
        config.mounts?.push({ destination, type: 'tmpfs', source: 'tmpfs' });
      },
    );
    const canary = makeCanary();
    const before = picture(canary);
    const { status, stderr } = run(bundle);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^scow: .+\[\/mounts\/7\/destination\]\n$/);
    expect(picture(canary)).toEqual(before);
  },
);

test.each(['../x', '..', '.', 'a/b', '/etc', 'a b', 'a\nb', 'ä', '%2e', 'a;id', '$(id)'])(
  'the ID %j is refused',
  (id) => {
    const bundle = image(() => {});
    const { status, stderr } = scow(['run', '--bundle', bundle, '--', id], { engine: 'bun' });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^scow: invalid container ID .+\n$/);
    expect(existsSync(join(testDirectory(), 'x'))).toBe(false);
  },
);
