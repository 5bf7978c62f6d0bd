/** Ways to more privilege, or to the host's settings, that an image or a configuration may try. */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bundleOf, cleanUp, ENGINES, newId, scow } from '../../helpers/scow.ts';
import { type Edit, failureOf, whole } from '../bad-input/failing.ts';
import { makeCanary, picture } from './host.ts';

afterEach(cleanUp);

/** Copies a program of the host, with the libraries that it is linked to. */
function copyProgram(program: string, rootfs: string, to: string): void {
  const libraries = spawnSync('ldd', [program], { encoding: 'utf8' }).stdout.match(/\/\S+/g) ?? [];
  for (const file of libraries) {
    mkdirSync(join(rootfs, dirname(file)), { recursive: true });
    copyFileSync(file, join(rootfs, file));
  }
  copyFileSync(program, join(rootfs, to));
}

describe('a set-user-ID program of the image', () => {
  const idsOf = (edit: Edit, directory = 'bin') => {
    const bundle = bundleOf(
      whole((config) => {
        config.process.args = [`/${directory}/become-root`, '/proc/self/status'];
        config.process.user = { uid: 1000, gid: 1000 };
        edit(config);
      }),
    );
    const rootfs = join(bundle, 'rootfs');
    mkdirSync(join(rootfs, directory), { recursive: true });
    copyProgram('/bin/cat', rootfs, `${directory}/become-root`);
    chmodSync(join(rootfs, directory, 'become-root'), 0o4755);
    const { status, stdout, stderr } = scow(['run', '-b', bundle, newId()], { engine: 'bun' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return /^Uid:\s+(.*)$/m.exec(stdout)?.[1]?.split('\t');
  };

  test('makes root, where the configuration lets it', () => {
    const edit: Edit = ({ process }) => {
      process.noNewPrivileges = false;
    };
    expect(idsOf(edit)).toEqual(['1000', '0', '0', '0']);
  });

  test('does not with noNewPrivileges', () => {
    const edit: Edit = ({ process }) => {
      process.noNewPrivileges = true;
    };
    expect(idsOf(edit)).toEqual(['1000', '1000', '1000', '1000']);
  });

  test('does not on a mount that is nosuid', () => {
    const edit: Edit = ({ process, mounts }) => {
      process.noNewPrivileges = false;
      mounts.push({
        destination: '/data',
        type: 'bind',
        source: 'rootfs/data',
        options: ['bind', 'nosuid'],
      });
    };
    expect(idsOf(edit, 'data')).toEqual(['1000', '1000', '1000', '1000']);
  });
});

test.each(ENGINES)('LD_PRELOAD and its kind reach the program only (%s)', (engine) => {
  const canary = makeCanary();
  const file = join(canary, 'library.so');
  writeFileSync(file, 'no library');
  const env = [`LD_PRELOAD=${file}`, `LD_LIBRARY_PATH=${canary}`, `NODE_OPTIONS=--require=${file}`];
  const bundle = bundleOf(
    whole(({ process }) => {
      process.env = [...env, 'PATH=/bin', 'HOME=/'];
      process.args = ['env'];
    }),
  );
  const before = picture(canary);
  const { status, stdout, stderr } = scow(['run', '-b', bundle, newId()], { engine });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout.trim().split('\n').sort()).toEqual([...env, 'PATH=/bin', 'HOME=/'].sort());
  expect(picture(canary)).toEqual(before);
});

describe("a namespace to join that is the host's own", () => {
  const joining =
    (type: 'network' | 'uts' | 'ipc', path: string, edit: Edit): Edit =>
    (config) => {
      config.linux.namespaces = [
        ...(config.linux.namespaces ?? []).filter((namespace) => namespace.type !== type),
        { type, path },
      ];
      edit(config);
    };
  const sysctl =
    (name: string, value: string): Edit =>
    ({ linux }) => {
      linux.sysctl = { [name]: value };
    };

  test.each([
    [
      'network',
      '/proc/self/ns/net',
      sysctl('net.ipv4.ip_default_ttl', '77'),
      '/linux/sysctl/net.ipv4.ip_default_ttl',
    ],
    [
      'network',
      `/proc/${process.pid}/ns/net`,
      sysctl('net/ipv4/ip_default_ttl', '77'),
      '/linux/sysctl/net~1ipv4~1ip_default_ttl',
    ],
    ['ipc', '/proc/self/ns/ipc', sysctl('kernel.shmmni', '77'), '/linux/sysctl/kernel.shmmni'],
    [
      'uts',
      '/proc/self/ns/uts',
      sysctl('kernel.domainname', 'evil'),
      '/linux/sysctl/kernel.domainname',
    ],
    ['uts', '/proc/self/ns/uts', () => {}, '/hostname'],
  ] as const)('%s at %s: nothing is set in it', (type, path, edit, pointer) => {
    const canary = makeCanary();
    const before = picture(canary);
    const bundle = bundleOf(
      whole(
        joining(type, path, (config) => {
          if (pointer !== '/hostname') delete (config as { hostname?: string }).hostname;
          edit(config);
        }),
      ),
    );
    expect(failureOf(bundle)).toBe(
      `the ${type} namespace ${path} is the host's own, whose settings no container may change  [${pointer}]`,
    );
    expect(picture(canary)).toEqual(before);
  });

  test('is joined when nothing is set in it', () => {
    const bundle = bundleOf(
      whole(
        joining('network', '/proc/self/ns/net', ({ process }) => {
          process.args = ['readlink', '/proc/self/ns/net'];
        }),
      ),
    );
    const { status, stdout } = scow(['run', '-b', bundle, newId()], { engine: 'bun' });
    const own = spawnSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' }).stdout;
    expect({ status, stdout }).toEqual({ status: 0, stdout: own });
  });

  test('a namespace of its own is set, and the host is not', () => {
    const holder = spawnSync(
      'unshare',
      ['--net', 'sh', '-c', 'sleep 1000 >/dev/null 2>&1 & echo $!'],
      {
        encoding: 'utf8',
      },
    );
    const pid = Number(holder.stdout);
    try {
      const file = '/proc/sys/net/ipv4/ip_default_ttl';
      const before = readFileSync(file, 'latin1');
      const bundle = bundleOf(
        whole(
          joining('network', `/proc/${pid}/ns/net`, (config) => {
            sysctl('net.ipv4.ip_default_ttl', '77')(config);
            config.process.args = ['cat', file];
          }),
        ),
      );
      expect(scow(['run', '-b', bundle, newId()], { engine: 'bun' })).toMatchObject({
        status: 0,
        stdout: '77\n',
      });
      expect(readFileSync(file, 'latin1')).toBe(before);
    } finally {
      process.kill(pid, 'SIGKILL');
    }
  });
});
