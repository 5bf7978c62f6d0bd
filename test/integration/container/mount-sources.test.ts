import { mkdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Mount } from '../../../schemas/runtime-config.ts';
import {
  bind,
  both,
  type Edit,
  lines,
  linuxOf,
  mounting,
  portable,
  runBundle,
  shell,
  writable,
} from '../../helpers/container.ts';
import { mountAt, parseMountinfo } from '../../helpers/mountinfo.ts';
import {
  bundleOf,
  cleanUp,
  type EditableConfig,
  ENGINES,
  testDirectory,
} from '../../helpers/scow.ts';

afterEach(cleanUp);

/** A bundle whose sources are a file and links to it, and which has such links in its root. */
function linkedBundle(script: string, ...mounts: Mount[]): string {
  const bundle = bundleOf(both(portable, writable, shell(script), mounting(...mounts)));
  writeFileSync(join(bundle, 'file'), 'of the host\n');
  symlinkSync('file', join(bundle, 'link'));
  symlinkSync('../nowhere', join(bundle, 'dangling'));
  for (const name of ['one', 'two']) symlinkSync('to', join(bundle, 'rootfs/etc', name));
  writeFileSync(join(bundle, 'rootfs/etc/to'), 'of the image\n');
  return bundle;
}

describe.each(ENGINES)('symlinks as sources and destinations under %s', (engine) => {
  it('are followed, unless the options say otherwise', () => {
    const script = `
      for name in one two new/link new/followed new/twice; do
        echo $name $(stat -c %F /etc/$name) $(readlink /etc/$name) $(cat /etc/$name 2>/dev/null)
      done; cat /etc/to`;
    const mounts = [
      bind('file', '/etc/one', 'dest-nofollow'),
      bind('link', '/etc/two', 'src-nofollow', 'dest-nofollow'),
      bind('dangling', '/etc/new/link', 'copy-symlink'),
      bind('file', '/etc/new/followed', 'copy-symlink'),
      bind('link', '/etc/new/twice', 'copy-symlink'),
      bind('link', '/etc/new/twice', 'copy-symlink'),
    ];
    const bundle = linkedBundle(script, ...mounts);
    const expected = [
      'one regular file of the host',
      'two symbolic link file',
      'new/link symbolic link ../nowhere',
      'new/followed regular file of the host',
      'new/twice symbolic link file',
      'of the image',
      '',
    ];
    const { stdout, stderr } = runBundle(engine, bundle);
    expect({ stderr, lines: stdout.split('\n') }).toEqual({ stderr: '', lines: expected });
    expect(readlinkSync(join(bundle, 'rootfs/etc/new/link'))).toBe('../nowhere');
  });

  it.each([
    ['/etc/passwd', 'a file'],
    ['/etc/one', 'another symlink'],
    ['/tmp', 'a directory'],
  ])('are not copied to %s, where %s is', (destination) => {
    const bundle = linkedBundle('true', bind('link', destination, 'copy-symlink'));
    const { status, stderr } = runBundle(engine, bundle);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^scow: cannot make the symlink .* {2}\[\/mounts\/7\/destination\]\n$/);
    expect(stderr).toContain('something else');
  });

  it('are never mounted on in a procfs, whose links lead elsewhere', () => {
    const bundle = linkedBundle(
      'true',
      bind('link', '/proc/self', 'src-nofollow', 'dest-nofollow'),
    );
    expect(runBundle(engine, bundle)).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^scow: cannot mount link on \/proc\/self: .* \(ELOOP\)/),
    });
  });

  it('lead through nothing but the image, where they may dangle', () => {
    const bundle = linkedBundle('cat /tmp/foo/bar/baz/hosts', bind('file', '/etc/hosts'));
    symlinkSync('/jump/baz/hosts', join(bundle, 'rootfs/etc/hosts'));
    symlinkSync('/tmp/foo/bar', join(bundle, 'rootfs/jump'));
    expect(runBundle(engine, bundle)).toMatchObject({ stdout: 'of the host\n', stderr: '' });
  });
});

/** Sources on the host, each with a directory and a file that say which it is. */
function makeSources(): string {
  const base = join(testDirectory(), 'sources');
  for (const [name, below] of [
    ['a', 'x'],
    ['b', 'y'],
    ['c', 'z'],
  ] as const) {
    mkdirSync(join(base, name, below), { recursive: true });
    writeFileSync(join(base, name, below, 'file'), `${name}/${below}\n`);
    symlinkSync(name, join(base, `link-${name}`));
  }
  return base;
}

describe.each(ENGINES)('sources that the container has mounted under %s', (engine) => {
  it.each([
    ['', () => {}],
    [
      ' in a user namespace',
      (config) => {
        const linux = linuxOf(config);
        linux.namespaces = [...(linux.namespaces ?? []), { type: 'user' }];
        linux.uidMappings = [{ containerID: 0, hostID: 0, size: 1000 }];
        linux.gidMappings = [{ containerID: 0, hostID: 0, size: 1000 }];
      },
    ],
  ] as [string, Edit][])('are what it sees at their path%s, as with runc', (_, edit) => {
    const sources = makeSources();
    const script = 'cat /final/x/y/z/x/z/x/file; ls /again /final/x/y/z/x; stat -c %u:%g /again/x';
    const bundle = bundleOf(both(portable, writable, edit, shell(script)));
    const rootfs = join(bundle, 'rootfs');
    configure(bundle, [
      bind(`${sources}/a`, '/mnt'),
      bind(`${sources}/link-b`, '/mnt/x'),
      bind(`${sources}/c`, '/mnt/x/y'),
      bind(`${sources}/link-a`, '/mnt/x/y/z'),
      { ...bind(`${rootfs}/mnt/x/y`, `${rootfs}/mnt/x/y/z/x`), options: ['rbind'] },
      { ...bind(`${rootfs}/mnt`, `${rootfs}/final`), options: ['rbind'] },
      bind('rootfs/final/x/y/z/x/z', '/again', 'idmap=uids=0-77-1;gids=0-88-1'),
    ]);
    expect(runBundle(engine, bundle)).toMatchObject({
      stdout: 'a/x\n/again:\nx\n\n/final/x/y/z/x:\nz\n77:88\n',
      stderr: '',
      status: 0,
    });
  });
});

/** Adds mounts to a bundle that is there. */
function configure(bundle: string, mounts: Mount[]): void {
  const file = join(bundle, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8')) as EditableConfig;
  mounting(...mounts)(config);
  writeFileSync(file, JSON.stringify(config));
}

describe.each(ENGINES)('remount under %s', (engine) => {
  const remount = (destination: string, ...options: string[]): Mount => ({
    destination,
    options: ['remount', ...options],
  });

  it('changes the mount that is there, and makes none', () => {
    const tmpfs = { destination: '/t', type: 'tmpfs', source: 'name', options: ['nosuid'] };
    const edit = both(
      writable,
      mounting(
        tmpfs,
        { ...tmpfs, destination: '/u' },
        remount('/t', 'size=64k', 'ro'),
        remount('/u', 'bind', 'nodev', 'rw'),
        remount('/proc', 'nosuid', 'hidepid=2'),
      ),
    );
    const mounts = parseMountinfo(lines(engine, 'cat /proc/self/mountinfo', edit));
    const shown = ['/t', '/u', '/proc'].map((point) => {
      const at = mounts.filter((mount) => mount.point === point);
      return [point, at.length, at[0]?.options, at[0]?.superOptions];
    });
    expect(shown).toEqual([
      ['/t', 1, 'ro,relatime', 'ro,size=64k'],
      ['/u', 1, 'rw,nodev,relatime', 'rw'],
      ['/proc', 1, 'rw,nosuid,relatime', 'rw,hidepid=invisible'],
    ]);
    expect(mountAt(mounts, '/t')?.source).toBe('name');
  });

  it('needs a mount', () => {
    const outcome = (destination: string) =>
      runBundle(engine, bundleOf(mounting(remount(destination, 'ro')))).stderr;
    expect(outcome('/tmp')).toBe(
      'scow: cannot remount /tmp (fspick): invalid argument (EINVAL): nothing is mounted there  [/mounts/7/destination]\n',
    );
    expect(outcome('/none')).toMatch(/^scow: cannot open the mount \/none .*\(ENOENT\)/);
  });
});
