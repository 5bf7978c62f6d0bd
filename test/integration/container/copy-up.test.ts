import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { copyTree } from '../../../runtime/container/copy-tree.ts';
import { batch } from '../../../runtime/linux/syscall.ts';
import type { Mount } from '../../../schemas/runtime-config.ts';
import {
  both,
  type Edit,
  lines,
  MAPPED_ROOT,
  mapped,
  mounting,
  portable,
  type Runtime,
  runBundle,
  shell,
  writable,
} from '../../helpers/container.ts';
import { MappedUser } from '../../helpers/mapped-user.ts';
import { bundleOf, cleanUp, ENGINES, newId, testDirectory } from '../../helpers/scow.ts';
import { makeCanary, picture } from '../security/host.ts';

const user = new MappedUser();

beforeAll(() => user.add());
afterAll(() => user.remove());
afterEach(cleanUp);

/** All that a directory of an image can hold; `$1` is added to every ID. */
const CONTENT = `
  id() { chown -h $(($1 + own)):$(($2 + own)) $3; }
  own=$1
  mkdir -p data/sub/deeper data/private
  echo content > data/file; id 3 4 data/file; chmod 4755 data/file
  ln data/file data/sub/linked
  setfattr -n user.note -v hello data/file
  echo deep > data/sub/deeper/file; chmod 600 data/sub/deeper/file
  ln -s ../../../../../../../../etc/passwd data/outside; id 5 6 data/outside
  ln -s sub data/inside
  mkfifo -m 622 data/fifo; id 7 8 data/fifo
  chmod 700 data/private; id 0 9 data/private
  head -c 300000 /dev/zero > "data/a name
of two lines"
  chmod 3775 data; id 11 12 data`;

/** One time for all, which is none of a copy's own. */
const TIMES = `
  chown -hR --from=0:0 $1:$1 .
  find data -depth -exec touch -hd '2001-02-03 04:05:06.123456789 UTC' {} +`;

const SHOW = `
  cd /data && find . | sort | while read name; do
    if [ -e "$name" -o -L "$name" ]; then stat -c '%A %u %g %h %N %y' "$name"; fi
  done
  cat file sub/linked sub/deeper/file inside/deeper/file | tr '\\n' ' '
  wc -c < "a name
of two lines"`;

function tmpfs(...options: string[]): Mount {
  return { destination: '/data', type: 'tmpfs', source: 'tmpfs', options };
}

/** What a container sees in /data, which an image has filled. */
function shown(runtime: Runtime, mount: Mount | undefined, edit: Edit, script = SHOW): string {
  const mounts = mount === undefined ? [] : [mount];
  const bundle = bundleOf(both(portable, writable, mounting(...mounts), shell(script), edit));
  const rootfs = join(bundle, 'rootfs');
  const own = edit === mapped ? MAPPED_ROOT : 0;
  chmodSync(testDirectory(), 0o711);
  spawnSync('chown', ['-hR', `${own}:${own}`, rootfs]);
  const { stderr: made } = spawnSync('sh', ['-ec', CONTENT + TIMES, 'sh', String(own)], {
    cwd: rootfs,
    encoding: 'utf8',
  });
  expect(made).toBe('');
  const { stdout, stderr } = runBundle(runtime, bundle);
  expect(stderr).toBe('');
  return stdout;
}

/** Directories have as many links as their filesystem counts. */
const comparable = (text: string) => text.replace(/^(d\S+ \d+ \d+) \d+ /gm, '$1 ');

test('extended attributes are copied, to files and directories', () => {
  const [from, into] = ['from', 'into'].map((name) => join(testDirectory(), name)) as [
    string,
    string,
  ];
  const script = `mkdir -p $0/sub $1; : > $0/sub/file; setfattr -n user.of-a-directory -v one $0/sub
    setfattr -n user.of-a-file -v two $0/sub/file; setcap cap_net_raw+ep $0/sub/file
    setfattr -n trusted.third -v three $0`;
  spawnSync('sh', ['-ec', script, from, into]);
  const descriptors = [from, into].map((path) => openSync(path, 'r'));
  const [source = 0, target = 0] = descriptors;
  copyTree(batch, source, target, { mode: true, uid: true, gid: true });
  for (const fd of descriptors) closeSync(fd);
  const attributes = (cwd: string) =>
    spawnSync('getfattr', ['-Rdm-', '.'], { cwd, encoding: 'utf8' }).stdout;
  expect(attributes(from)).toMatch(/one.*security\.capability.*two/s);
  expect(attributes(into)).toBe(attributes(from));
});

describe.each(ENGINES)('a tmpfs with tmpcopyup under %s', (engine) => {
  it.each([
    ['root', () => {}],
    ['root of a user namespace', mapped],
  ] as [string, Edit][])('holds what the image has in its place, for %s', (_, edit) => {
    const expected = comparable(shown(engine, undefined, edit));
    expect(expected).toContain('-rwsr-xr-x 3 4 2 ./file 2001-02-03 04:05:06');
    expect(comparable(shown(engine, tmpfs('tmpcopyup'), edit))).toBe(expected);
  });

  it('is a tmpfs with options of its own, and not the image', () => {
    const script = `
      stat -f -c %T /data; stat -c '%a %u %g' /data
      echo changed > /data/sub/deeper/file && cat /data/sub/deeper/file`;
    const own = tmpfs('tmpcopyup', 'mode=1755', 'uid=21', 'gid=22', 'size=1m');
    expect(shown(engine, own, () => {}, script)).toBe('tmpfs\n1755 21 22\nchanged\n');
    const readOnly = 'cat /data/sub/linked; (: > /data/sub/new) 2>&1 | sed "s/.*: //"';
    const expected = 'content\nRead-only file system\n';
    expect(shown(engine, tmpfs('tmpcopyup', 'ro'), () => {}, readOnly)).toBe(expected);
  });

  it('covers volumes of earlier mounts, whose content it holds too', () => {
    const volume = join(testDirectory(), 'volume');
    mkdirSync(volume);
    writeFileSync(join(volume, 'of-the-volume'), 'x');
    const bind = { destination: '/data/sub', type: 'bind', source: volume, options: ['bind'] };
    const edit = mounting(bind, tmpfs('tmpcopyup'));
    expect(shown(engine, undefined, edit, 'ls /data/sub; stat -f -c %T /data/sub')).toBe(
      'of-the-volume\ntmpfs\n',
    );
  });

  it('says what does not fit', () => {
    const bundle = bundleOf(both(writable, mounting(tmpfs('tmpcopyup', 'size=64k'))));
    spawnSync('sh', ['-ec', CONTENT, 'sh', '0'], { cwd: join(bundle, 'rootfs') });
    expect(runBundle(engine, bundle)).toMatchObject({
      status: 1,
      stderr:
        'scow: cannot copy what is in /data into a tmpfs: "a name\\nof two lines": no space left on device (ENOSPC)  [/mounts/7/options/0]\n',
    });
  });

  it('is not led out by a symlink in the place of its directory', () => {
    const canary = makeCanary();
    const before = picture(canary);
    const edit = both(writable, mounting(tmpfs('tmpcopyup')), shell('find /real | sort'));
    const bundle = bundleOf(edit);
    const script = `mkdir real; echo x > real/own; ln -s ${canary} real/out; ln -s ../../../real data`;
    spawnSync('sh', ['-ec', script], { cwd: join(bundle, 'rootfs') });
    expect(runBundle(engine, bundle)).toMatchObject({
      status: 0,
      stdout: '/real\n/real/out\n/real/own\n',
    });
    expect(picture(canary)).toEqual(before);
  });

  it('holds it for an ordinary user too, with all IDs that the user may map', () => {
    const edit = both(writable, user.mapped, mounting(tmpfs('tmpcopyup')), shell(SHOW));
    const bundle = user.bundle(engine, edit);
    const made = spawnSync('sh', ['-ec', CONTENT + TIMES, 'sh', String(user.range.uid - 1)], {
      cwd: join(bundle, 'rootfs'),
      encoding: 'utf8',
    });
    expect(made.stderr).toBe('');
    // Root of the container is the user, and not the ID before the subordinate ones.
    const own = ['-hR', `--from=${user.range.uid - 1}`, `${user.uid}:${user.gid}`];
    spawnSync('chown', [...own, join(bundle, 'rootfs/data')]);
    const { stdout, stderr } = user.scow(engine, ['run', newId()], bundle);
    expect(stderr).toBe('');
    expect(stdout).toContain('-rwsr-xr-x 3 4 2 ./file 2001-02-03 04:05:06');
    expect(stdout).toContain('prw--w--w- 7 8 1 ./fifo 2001-02-03 04:05:06');
    expect(stdout).toMatch(/content content deep deep 300000\n$/);
  });
});

test.each(ENGINES)(
  'a tmpfs is read-only when later mounts have their places in it, under %s',
  (engine) => {
    const source = join(testDirectory(), 'file');
    writeFileSync(source, 'of the host\n');
    const edit = mounting(
      { destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['ro'] },
      { destination: '/tmp/file', type: 'bind', source, options: ['bind'] },
    );
    const script = 'cat /tmp/file; touch /tmp/more 2>&1 | grep -o Read-only';
    for (const runtime of [engine, 'runc', 'crun'] as const)
      expect(lines(runtime, script, edit)).toEqual(['of the host', 'Read-only']);
  },
);
