import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Mount } from '../../../schemas/runtime-config.ts';
import {
  both,
  capable,
  lines,
  linuxOf,
  mounting,
  output,
  portable,
  type Runtime,
  runBundle,
  shell,
  writable,
} from '../../helpers/container.ts';
import { mountAt, parseMountinfo } from '../../helpers/mountinfo.ts';
import { bundleOf, cleanUp, ENGINES, testDirectory } from '../../helpers/scow.ts';

afterEach(cleanUp);

/** Options of a bind mount whose source has none, and those that the mount then has. */
const BINDS: readonly (readonly [options: string, expected: string])[] = [
  ['bind', 'rw,relatime'],
  ['rbind', 'rw,relatime'],
  ['bind ro', 'ro,relatime'],
  ['rbind ro', 'ro,relatime'],
  ['bind rw ro', 'ro,relatime'],
  ['bind nosuid', 'rw,nosuid,relatime'],
  ['bind nodev', 'rw,nodev,relatime'],
  ['bind noexec', 'rw,noexec,relatime'],
  ['bind ro nosuid nodev noexec', 'ro,nosuid,nodev,noexec,relatime'],
  ['bind noatime', 'rw,noatime'],
  ['bind relatime', 'rw,relatime'],
  ['bind strictatime', 'rw'],
  ['bind nodiratime', 'rw,nodiratime,relatime'],
  ['bind noatime nodiratime', 'rw,noatime,nodiratime'],
  ['bind private', 'rw,relatime'],
];

/** The later of two that contradict each other wins; crun 1.8 keeps the earlier. */
const CONTRADICTIONS: typeof BINDS = [
  ['bind ro rw', 'rw,relatime'],
  ['bind nosuid suid', 'rw,relatime'],
  ['bind nodev dev', 'rw,relatime'],
  ['bind noexec exec', 'rw,relatime'],
  ['bind nodiratime diratime', 'rw,relatime'],
];

/** The same where runc 1.1 and crun 1.8 know less. */
const OWN_BINDS: typeof BINDS = [
  ['bind nosymfollow', 'rw,relatime,nosymfollow'],
  ['bind nosymfollow symfollow', 'rw,relatime'],
  ['bind noatime atime', 'rw,relatime'],
  ['bind noatime relatime', 'rw,relatime'],
  ['bind strictatime nostrictatime', 'rw,relatime'],
];

/** Options of a tmpfs on a new directory, those of the mount and those of the filesystem. */
const FILESYSTEMS: readonly (readonly [options: string, mount: string, superblock: string])[] = [
  ['', 'rw,relatime', 'rw'],
  ['ro', 'ro,relatime', ''],
  ['nosuid nodev noexec', 'rw,nosuid,nodev,noexec,relatime', 'rw'],
  ['mode=1777', 'rw,relatime', 'rw'],
  ['mode=0700 size=64k', 'rw,relatime', 'rw,size=64k,mode=700'],
  ['size=1m nr_inodes=100', 'rw,relatime', 'rw,size=1024k,nr_inodes=100'],
  ['uid=7 gid=8', 'rw,relatime', 'rw,uid=7,gid=8'],
  ['noatime', 'rw,noatime', 'rw'],
];

/** Bind mounts on /m0, /m1, … of a source that is set up like a mount of its own. */
function bindsOf(table: typeof BINDS, source: string): Mount[] {
  return table.map(([options], i) => ({
    destination: `/m${i}`,
    type: 'bind',
    source,
    options: options.split(' '),
  }));
}

function optionsUnder(runtime: Runtime, table: typeof BINDS): Record<string, string> {
  const source = join(testDirectory(), 'source');
  mkdirSync(source, { recursive: true });
  const edit = both(writable, mounting(...bindsOf(table, source)));
  const mounts = parseMountinfo(lines(runtime, 'cat /proc/self/mountinfo', edit));
  return Object.fromEntries(
    table.map(([options], i) => [options, mountAt(mounts, `/m${i}`)?.options ?? 'not mounted']),
  );
}

/** Mounts a tmpfs on two directories with modes of their own, and where none is. */
function modesUnder(runtime: Runtime): string {
  const tmpfs = ['/tmp', '/root', '/missing'].map((destination) => ({
    destination,
    type: 'tmpfs',
    source: 'tmpfs',
  }));
  const script = 'stat -c %a /tmp /root /missing';
  const bundle = bundleOf(both(portable, writable, mounting(...tmpfs), shell(script)));
  chmodSync(join(bundle, 'rootfs/tmp'), 0o1770);
  chmodSync(join(bundle, 'rootfs/root'), 0o700);
  return runBundle(runtime, bundle).stdout;
}

describe.each(ENGINES)('mount options under %s', (engine) => {
  it('of bind mounts are those of runc and crun', () => {
    expect(optionsUnder(engine, BINDS)).toEqual(Object.fromEntries(BINDS));
    expect(optionsUnder('runc', BINDS)).toEqual(Object.fromEntries(BINDS));
    expect(optionsUnder('crun', BINDS)).toEqual(Object.fromEntries(BINDS));
  });

  it('of bind mounts that contradict each other are those of runc', () => {
    expect(optionsUnder(engine, CONTRADICTIONS)).toEqual(Object.fromEntries(CONTRADICTIONS));
    expect(optionsUnder('runc', CONTRADICTIONS)).toEqual(Object.fromEntries(CONTRADICTIONS));
  });

  it('of bind mounts that runc and crun lack', () => {
    expect(optionsUnder(engine, OWN_BINDS)).toEqual(Object.fromEntries(OWN_BINDS));
  });

  it('with values change nothing of a bind mount, with a warning', () => {
    const options = ['bind', 'mode=700', 'size=1k', 'noexec'];
    const edit = both(
      mounting({ destination: '/tmp', type: 'bind', source: 'rootfs/etc', options }),
      shell("stat -c %a /tmp; grep -o ' /tmp [^ ]*' /proc/self/mountinfo"),
    );
    const { status, stdout, stderr } = runBundle(engine, bundleOf(edit));
    expect({ status, stdout }).toEqual({ status: 0, stdout: '755\n /tmp rw,noexec,relatime\n' });
    expect(stderr).toBe(
      'scow: warning: mount on /tmp: a bind mount has no mode of its own  [/mounts/7/options/1]\n' +
        'scow: warning: mount on /tmp: a bind mount has no size of its own  [/mounts/7/options/2]\n',
    );
  });

  it('of filesystems', () => {
    const mounts = FILESYSTEMS.map(([options], i) => ({
      destination: `/m${i}`,
      type: 'tmpfs',
      source: 'name',
      options: options === '' ? [] : options.split(' '),
    }));
    const show = 'cat /proc/self/mountinfo';
    const found = parseMountinfo(lines(engine, show, both(writable, mounting(...mounts))));
    const shown = FILESYSTEMS.map(([options, , superblock], i) => {
      const mount = mountAt(found, `/m${i}`);
      return [options, mount?.options, superblock === '' ? '' : mount?.superOptions];
    });
    expect(shown).toEqual(FILESYSTEMS);
  });

  it('change the mount and all below it when their name begins with r', () => {
    const through = ['unshare', '--mount', '--propagation=private', 'sh', '-c'];
    const source = join(testDirectory(), 'source');
    mkdirSync(source);
    through.push(
      'mount -t tmpfs none $0 && mkdir $0/below && mount -t tmpfs none $0/below && exec "$@"',
      source,
    );
    const table: typeof BINDS = [
      ['rbind rro', 'ro,relatime ro,relatime'],
      ['rbind ro', 'ro,relatime rw,relatime'],
      [
        'rbind rnosuid rnodev rnoexec',
        'rw,nosuid,nodev,noexec,relatime rw,nosuid,nodev,noexec,relatime',
      ],
      ['rbind rnoatime', 'rw,noatime rw,noatime'],
      ['rbind rstrictatime', 'rw rw'],
      ['rbind rnoatime rrelatime', 'rw,relatime rw,relatime'],
      ['rbind rnodiratime', 'rw,nodiratime,relatime rw,nodiratime,relatime'],
      ['rbind rnosymfollow', 'rw,relatime,nosymfollow rw,relatime,nosymfollow'],
      ['rbind rro rrw', 'rw,relatime rw,relatime'],
      ['rbind ro nosuid rrw rsuid', 'rw,relatime rw,relatime'],
      ['rbind rnodev rdev rnoexec rexec rnosymfollow rsymfollow', 'rw,relatime rw,relatime'],
      ['rbind rnodiratime rdiratime ratime rnostrictatime', 'rw,relatime rw,relatime'],
      ['rbind ro rnosuid', 'ro,nosuid,relatime rw,nosuid,relatime'],
      ['bind rro', 'ro,relatime not mounted'],
    ];
    const edit = both(writable, mounting(...bindsOf(table, source)));
    const show = 'cat /proc/self/mountinfo';
    const mounts = parseMountinfo(lines(engine, show, edit, { through }));
    const shown = table.map(([options], i) => {
      const below = mountAt(mounts, `/m${i}/below`)?.options ?? 'not mounted';
      return [options, `${mountAt(mounts, `/m${i}`)?.options} ${below}`];
    });
    expect(shown).toEqual(table);
  });

  it('of bind mounts replace those of the source when there are any, as with runc and crun', () => {
    const source = join(testDirectory(), 'source');
    mkdirSync(source);
    const script = 'mount -t tmpfs -o nosuid,nodev,noexec,noatime none $0 && exec "$@"';
    const through = ['unshare', '--mount', '--propagation=private', 'sh', '-c', script, source];
    const shown = (runtime: Runtime, table: typeof BINDS) => {
      const edit = both(writable, mounting(...bindsOf(table, source)));
      const mounts = parseMountinfo(lines(runtime, 'cat /proc/self/mountinfo', edit, { through }));
      return table.map(([options], i) => [options, mountAt(mounts, `/m${i}`)?.options]);
    };
    const table: typeof BINDS = [
      ['bind', 'rw,nosuid,nodev,noexec,noatime'],
      ['rbind private', 'rw,nosuid,nodev,noexec,noatime'],
      ['bind ro', 'ro,noatime'],
      ['rbind nosuid', 'rw,nosuid,noatime'],
      ['bind nodev strictatime', 'rw,nodev'],
      ['bind noexec nodiratime', 'rw,noexec,nodiratime,relatime'],
    ];
    // runc 1.1 passes over options that only clear, as later ones do not.
    const cleared: typeof BINDS = [
      ['bind rw', 'rw,noatime'],
      ['bind exec', 'rw,noatime'],
      ['bind suid nodev', 'rw,nodev,noatime'],
    ];
    expect(shown(engine, [...table, ...cleared])).toEqual([...table, ...cleared]);
    expect(shown('runc', table)).toEqual(table);
    // crun 1.8 clears all of them even without options.
    expect(shown('crun', table.slice(2))).toEqual(table.slice(2));
  });

  it('of a tmpfs without a mode: it has that of the directory it covers', () => {
    expect(modesUnder(engine)).toBe('1770\n700\n1777\n');
    expect(modesUnder('runc')).toBe('1770\n700\n1777\n');
  });
});

describe.each(ENGINES)('mount points under %s', (engine) => {
  const bind = (destination: string, source: string): Mount => ({
    destination,
    type: 'bind',
    source,
    options: ['bind'],
  });

  it('are made when they are missing, for files too', () => {
    writeFileSync(join(testDirectory(), 'file'), 'of the host\n');
    const edit = both(
      writable,
      mounting(
        bind('/a/new/file', join(testDirectory(), 'file')),
        { destination: '/a/new/directory', type: 'tmpfs', source: 'tmpfs' },
        bind('/etc/group', join(testDirectory(), 'file')),
      ),
    );
    const script = 'cat /a/new/file /etc/group; stat -c "%a %u %g %F" /a /a/new; umask';
    const expected = ['of the host', 'of the host', ...Array(2).fill('755 0 0 directory'), '0022'];
    expect(lines(engine, script, edit)).toEqual(expected);
    expect(lines('runc', script, edit)).toEqual(expected);
  });

  it('are files for sockets, FIFOs and devices', () => {
    const directory = testDirectory();
    const script = `mkfifo fifo && mknod null c 1 3 && ${process.execPath} -e '
      require("net").createServer().listen("socket", () => process.exit())'`;
    spawnSync('sh', ['-c', script], { cwd: directory });
    const names = ['fifo', 'null', 'socket'];
    const binds = names.map((name) => bind(`/new/${name}`, join(directory, name)));
    const show = "stat -c '%F' /new/fifo /new/null /new/socket; echo lost > /new/null";
    const expected = ['fifo', 'character special file', 'socket'];
    expect(lines(engine, show, both(writable, mounting(...binds)))).toEqual(expected);
  });

  it('are taken from the root when their path is relative, with a warning', () => {
    const bundle = bundleOf(
      both(
        writable,
        shell('grep " /data/here " /proc/self/mountinfo | cut -d" " -f5'),
        mounting({ destination: 'data/here', type: 'tmpfs', source: 'tmpfs' }),
      ),
    );
    const { status, stdout, stderr } = runBundle(engine, bundle);
    expect({ status, stdout }).toEqual({ status: 0, stdout: '/data/here\n' });
    expect(stderr).toContain(
      'mount destination data/here is not absolute: it is taken from /  [/mounts/7/destination]\n',
    );
  });

  it('are found through the symlinks of the image, which lead nowhere else', () => {
    const edit = both(
      portable,
      shell('cut -d" " -f5 /proc/self/mountinfo | grep inner | sort'),
      mounting(
        { destination: '/link', type: 'tmpfs', source: 'tmpfs' },
        { destination: '/up/inner-b', type: 'tmpfs', source: 'tmpfs' },
        { destination: '/dangling/inner-c', type: 'tmpfs', source: 'tmpfs' },
      ),
    );
    const bundle = bundleOf(edit);
    const rootfs = join(bundle, 'rootfs');
    mkdirSync(join(rootfs, 'real/inner-a'), { recursive: true });
    symlinkSync('/real/inner-a', join(rootfs, 'link'));
    symlinkSync('../../../../../../real', join(rootfs, 'up'));
    symlinkSync('/real/later', join(rootfs, 'dangling'));
    const expected = '/real/inner-a\n/real/inner-b\n/real/later/inner-c\n';
    expect(runBundle(engine, bundle)).toMatchObject({ stdout: expected, stderr: '' });
    expect(runBundle('crun', bundle)).toMatchObject({ stdout: expected, stderr: '' });
  });

  it('are sources too, relative to the bundle', () => {
    const edit = both(portable, mounting(bind('/tmp', 'data')), shell('cat /tmp/file'));
    const bundle = bundleOf(edit);
    mkdirSync(join(bundle, 'data'));
    writeFileSync(join(bundle, 'data/file'), 'of the bundle\n');
    const { stdout, stderr } = runBundle(engine, bundle);
    expect({ stdout, stderr }).toEqual({ stdout: 'of the bundle\n', stderr: '' });
  });

  it('are covered in the order of the configuration', () => {
    const tmpfs = (destination: string, source: string) => ({
      destination,
      type: 'tmpfs',
      source,
    });
    const edit = mounting(tmpfs('/tmp', 'one'), tmpfs('/tmp/in', 'two'), tmpfs('/tmp', 'three'));
    const mounts = parseMountinfo(lines(engine, 'cat /proc/self/mountinfo', edit));
    const shown = mounts.filter(({ point }) => point.startsWith('/tmp'));
    expect(shown.map(({ point, source }) => `${point} ${source}`)).toEqual([
      '/tmp one',
      '/tmp/in two',
      '/tmp three',
    ]);
  });
});

describe.each(ENGINES)('the root filesystem under %s', (engine) => {
  it('is writable or read-only', () => {
    const script = ': > /new && echo made';
    expect(lines(engine, script, writable)).toEqual(['made']);
    expect(lines(engine, `(${script}) 2>&1 | sed 's/.*: //'`)).toEqual(['Read-only file system']);
  });

  it('is read-only below writable mounts and hidden paths, and they are not', () => {
    const script = `
      for path in /new /etc/new /tmp/new /etc/deep/new /dev/new /etc/hidden/new; do
        (: > $path) 2>/dev/null && echo $path
      done
      wc -c < /etc/passwd; ls -A /etc/hidden
      grep -c ' /etc/hidden ' /proc/self/mountinfo`;
    const bundle = bundleOf(
      both(
        shell(script),
        mounting(
          { destination: '/tmp', type: 'tmpfs', source: 'tmpfs' },
          { destination: '/etc/deep', type: 'tmpfs', source: 'tmpfs' },
        ),
        ({ linux }) => linux?.maskedPaths?.push('/etc/hidden', '/etc/passwd', '/etc//hidden/'),
      ),
    );
    mkdirSync(join(bundle, 'rootfs/etc/hidden/below'), { recursive: true });
    const { stdout, stderr } = runBundle(engine, bundle);
    expect(stderr).toBe('');
    expect(stdout.split('\n')).toEqual(['/tmp/new', '/etc/deep/new', '/dev/new', '0', '1', '']);
  });

  it('is entered by chroot with --no-pivot', () => {
    const script = 'cut -d" " -f5 /proc/self/mountinfo | head -n1; ls -d /home /proc/self; pwd';
    const edit = shell(`exec 2>&1; ${script}`);
    const options = { flags: ['--no-pivot'] };
    const own = output(engine, both(portable, edit), options);
    expect(own).toBe(output('runc', both(portable, edit), options));
    expect(own).toContain('/home: No such file or directory');
  });

  it.each([[[]], [['--no-pivot']]])(
    'lets no user namespace in the container mount a procfs without hidden paths, %j',
    (flags) => {
      const script = 'unshare -mrpf sh -c "mount -t proc none /proc && ls /proc/1" 2>&1';
      const edit = both(portable, capable('CAP_SETFCAP', 'CAP_SYS_ADMIN'), shell(script));
      const shown = runBundle(engine, bundleOf(edit), { flags }).stdout;
      expect(shown).toMatch(/mount: permission denied/);
      const users = both(edit, (config) => {
        const linux = linuxOf(config);
        linux.namespaces = [...(linux.namespaces ?? []), { type: 'user' }];
        linux.uidMappings = [{ containerID: 0, hostID: 0, size: 65536 }];
        linux.gidMappings = linux.uidMappings;
      });
      expect(runBundle(engine, bundleOf(users), { flags })).toMatchObject({ stdout: shown });
    },
  );

  it('may be a mount of its own with mounts below it', () => {
    const edit = both(portable, shell('cat /tmp/file; cut -d" " -f5 /proc/self/mountinfo'));
    const bundle = bundleOf(edit);
    const script =
      'mount -t tmpfs none $0/tmp && mount --bind $0 $0 && mount --rbind $0 $0 && mount -t tmpfs none $0/tmp && echo below > $0/tmp/file && exec "$@"';
    const rootfs = join(bundle, 'rootfs');
    const through = ['unshare', '--mount', '--propagation=shared', 'sh', '-c', script, rootfs];
    const { stdout, stderr } = runBundle(engine, bundle, { through });
    expect(stderr).toBe('');
    expect(stdout.split('\n').slice(0, 3)).toEqual(['below', '/', '/tmp']);
  });

  it('is the only thing that a container sees of the host', () => {
    const points = lines(engine, 'cut -d" " -f5 /proc/self/mountinfo');
    expect(points.filter((point) => !/^\/($|proc|dev|sys)/.test(point))).toEqual([]);
  });
});
