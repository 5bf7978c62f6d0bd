import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { debianArchive } from './debian.ts';
import { archive, directory, entry, file, hardLink, longName, pax, symlink } from './tar.ts';

/** Changes to a root filesystem as a distribution or a build makes them. */
const CHANGES = String.raw`
set -eu
# Deleted: a file, a directory, a link; and all of a directory, which then is made anew.
rm etc/motd etc/os-release
rm -r usr/share/doc usr/share/man var/cache/apt
rm -r usr/share/zoneinfo; mkdir -m 2775 usr/share/zoneinfo; echo UTC > usr/share/zoneinfo/UTC
# Replaced by another type, both ways.
rm -r usr/share/locale; echo "a file now" > usr/share/locale
rm etc/issue; mkdir etc/issue; echo x > etc/issue/inside
rm -r usr/share/lintian; ln -s doc usr/share/lintian
rm -f etc/issue.net; mkfifo -m 622 etc/issue.net
# Attributes.
chmod 7755 usr/bin/id; chmod 6711 usr/bin/env; chmod 1777 srv; chmod 000 usr/bin/yes
chown 1000:2000 usr/bin/tac; chown -h 12:34 bin; chown 7:42 etc/shadow; chmod 000 etc/shadow
setcap cap_net_raw,cap_net_admin+ep usr/bin/vdir
cp usr/bin/cat usr/local/bin/cat-that-binds; setcap cap_net_bind_service+ep usr/local/bin/*
setfattr -n user.note -v 0xff00fe0a3d80 usr/bin/cat
setfattr -n user.empty -v "" etc/hostname
setfattr -n trusted.deep -v "on a directory" etc/apt
setfattr -h -n trusted.link -v "on a link" lib
touch -d "1969-12-31 12:00:00 UTC" usr/bin/tail
touch -d "2030-01-02 03:04:05 UTC" usr/lib
mkdir -m 2750 home/app; chown 1000:1000 home/app
# Links.
ln usr/bin/head usr/bin/head2; ln usr/bin/head usr/share/head3
ln -s "../../../../../../etc/passwd" opt/outside; ln -s nowhere/at/all opt/dangling
ln -P opt/dangling opt/dangling2
# Nodes.
mkdir -p srv/nodes; mknod srv/nodes/null c 1 3; mknod -m 660 srv/nodes/disk b 259 70000
mkfifo srv/nodes/fifo; chmod 1644 srv/nodes/fifo; chown 7:8 srv/nodes/disk
# Names.
mkdir srv/names; cd srv/names
touch "$(printf 'bytes\377\376\200')" "$(printf 'new\nline')" "$(printf 'ünï¢ôdé')" ' ' '\' '*'
touch "$(printf 'l%.0s' $(seq 255))"
d=$(printf 'd%.0s' $(seq 200)); mkdir -p $d/$d/$d; echo deep > $d/$d/$d/file
ln -s $d/$d/$d/file long-target
cd ../..
truncate -s 5M srv/sparse; printf end >> srv/sparse
: > srv/empty
`;

/** Changes upon changes: whiteouts of what the layer before brought, and again new content. */
const MORE_CHANGES = `
set -eu
rm -r srv/names/d* usr/share/locale srv/nodes/fifo
mkdir usr/share/locale; echo back > usr/share/locale/again
rm usr/bin/head; echo "its other names keep the old content" > usr/bin/head
rm -r etc/issue; echo "Debian" > etc/issue
ln -s ../usr/lib/os-release etc/os-release
echo 'app:x:1000:1000::/srv:/bin/bash' >> etc/passwd; echo 'audio2:x:77:app' >> etc/group
setfattr -x user.note usr/bin/cat
chmod 0751 etc/apt
`;

/** Files with nanoseconds, holes, extended attributes. */
const TIMES = `
set -eu
mkdir -p opt/times
echo x > opt/times/file; ln opt/times/file opt/times/link; ln -s file opt/times/symlink
put() { printf "$1" | dd of=$2 seek=$3 oflag=seek_bytes conv=notrunc status=none; }
truncate -s 9M opt/times/holes; put mid opt/times/holes 3M
for i in $(seq 30); do put $i opt/times/many $((i * 65536)); done
setcap cap_setuid+ep opt/times/file
touch -hd "2001-02-03 04:05:06.123456789 UTC" opt/times/* opt/times opt .
`;

/**
 * Makes an image of five layers: a Debian, changes to it that umoci packs, and two layers that
 * GNU tar and our own hands write.
 *
 * @param work an empty directory
 * @returns the image's layout; its tag is `debian`
 */
export function debianImage(work: string): string {
  const umoci = (...args: string[]) => execFileSync('umoci', args, { cwd: work, stdio: 'pipe' });
  const addLayer = (path: string) => umoci('raw', 'add-layer', '--image', 'layout:debian', path);
  umoci('init', '--layout', 'layout');
  umoci('new', '--image', 'layout:debian');
  addLayer(debianArchive());
  umoci('unpack', '--image', 'layout:debian', 'bundle');
  for (const changes of [CHANGES, MORE_CHANGES]) {
    const cwd = join(work, 'bundle/rootfs');
    execFileSync('bash', ['-c', changes], { cwd, stdio: 'pipe' });
    umoci('repack', '--image', 'layout:debian', '--refresh-bundle', 'bundle');
  }
  for (const [name, content] of [
    ['times', timesLayer(join(work, 'times'))],
    ['byhand', handMadeLayer()],
  ] as const) {
    const path = join(work, `${name}.tar`);
    writeFileSync(path, content);
    addLayer(path);
  }
  return join(work, 'layout');
}

/** A layer by GNU tar. */
function timesLayer(tree: string): Buffer {
  mkdirSync(tree);
  execFileSync('bash', ['-c', TIMES], { cwd: tree });
  const attributes = ['--xattrs', '--xattrs-include=*'];
  return execFileSync(
    'tar',
    ['--format=pax', '--sparse', ...attributes, '-C', tree, '-cf', '-', '.'],
    { maxBuffer: 2 ** 28 },
  );
}

/** A layer that no tool would write today, and that every tool must read. */
function handMadeLayer(): Buffer {
  return archive(
    // Opaque, before and after what its own layer brings.
    file('./usr/share/perl5/.wh..wh..opq'),
    file('usr/share/perl5/New.pm', 'new'),
    file('usr/share/debconf/new', 'new'),
    file('usr/share/debconf/.wh..wh..opq'),
    // Through links, which bin and lib are, and with names that want to be elsewhere.
    file('/bin/through-a-link', 'x', { mode: 0o755 }),
    file('lib/.wh.systemd'),
    file('../../../opt/from-above', 'x'),
    hardLink('opt/linked-through', 'bin/through-a-link'),
    hardLink('opt/bin', 'bin'),
    // A whiteout after what it names, and of a directory that was gone into.
    file('srv/new', 'stays'),
    file('srv/.wh.new'),
    file('etc/apt/stays', 'x'),
    file('etc/.wh.apt'),
    // umoci 0.4.7 gives a directory that such a whiteout emptied the time of the unpacking.
    directory('etc/apt', { mode: 0o700, uid: 3, mtime: 77 }),
    // Twice; the last counts.
    file('srv/twice', 'first'),
    symlink('srv/twice', 'second'),
    directory('srv/nodes', { mode: 0o1733 }),
    entry({ name: 'srv/empty', type: '4', major: 7, minor: 256 }),
    pax([
      ['path', Buffer.from('opt/by\xff\xfes', 'latin1')],
      ['mtime', '1234567.000000001'],
      ['uid', '3000000'],
      ['SCHILY.xattr.user.x', Buffer.from([0, 255, 10, 61])],
    ]),
    file('short', 'content'),
    longName(`opt/${'g'.repeat(200)}`),
    file('short', 'gnu', { format: 'gnu' }),
    directory('./', { mode: 0o755, mtime: 1_500_000_000 }),
  );
}
