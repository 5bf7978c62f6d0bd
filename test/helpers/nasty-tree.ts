import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** Fills a directory with one of everything that makes archives hard. */
export function makeNastyTree(root: string): void {
  const at = (...names: string[]) => join(root, ...names);
  const bytes = (name: string) =>
    Buffer.concat([Buffer.from(`${root}/`), Buffer.from(name, 'latin1')]);
  mkdirSync(at('dir/empty'), { recursive: true });
  writeFileSync(at('dir/file'), 'content');
  writeFileSync(at('dir/zero'), '');
  writeFileSync(at('dir.sibling'), 'sorts after what is in dir');
  writeFileSync(at('block'), Buffer.alloc(512, 'b'));
  writeFileSync(at('large'), Buffer.alloc(700_001, 'l'));
  writeFileSync(at('setuid'), 'x');
  chownSync(at('setuid'), 1000, 3_000_000);
  chmodSync(at('setuid'), 0o4755);
  linkSync(at('dir/file'), at('z-link'));
  symlinkSync('dir/file', at('symlink'));
  symlinkSync('t'.repeat(300), at('long-target'));
  linkSync(at('symlink'), at('symlink-link'));
  const deep = Array.from({ length: 6 }, (_, i) => `${i}`.repeat(60)).join('/');
  mkdirSync(at(deep), { recursive: true });
  writeFileSync(at(deep, 'file'), 'deep');
  writeFileSync(at('ünïcödé'), 'u');
  writeFileSync(bytes('bytes\xff\xfe'), 'b');
  writeFileSync(bytes(`${'long\xff'.repeat(45)}`), 'lb');
  writeFileSync(at('new\nline'), 'n');
  execFileSync('mknod', [at('null'), 'c', '1', '3']);
  execFileSync('mknod', [at('disk'), 'b', '259', '70000']);
  execFileSync('mkfifo', [at('fifo')]);
  writeFileSync(at('sparse'), '');
  truncateSync(at('sparse'), 3_000_000);
  writeFileSync(at('xattr'), 'x');
  setXattr(at('xattr'), 'user.text', 'value');
  setXattr(at('xattr'), 'user.binary', '0sAAH/Cj0=');
  setXattr(at('xattr'), 'trusted.secret', 't');
  setXattr(at('dir'), 'user.of-directory', 'd');
  execFileSync('setcap', ['cap_net_raw+ep', at('setuid')]);
  utimesSync(at('dir/zero'), 1, 1.5);
  execFileSync('touch', ['-d', '1969-12-31T23:59:58.25Z', at('block')]);
  execFileSync('touch', ['-d', '2020-02-02T02:02:02.123456789Z', at('large')]);
  execFileSync('touch', ['-d', '2020-02-02T02:02:02Z', at('xattr')]);
  lutimesSync(at('long-target'), 5, 5);
}

/** Sets an extended attribute; the value may be in setfattr(1)'s notation. */
export function setXattr(path: string, name: string, value: string): void {
  const { status, stderr } = spawnSync('setfattr', ['-h', '-n', name, '-v', value, path]);
  if (status !== 0) throw new Error(`setfattr ${name}: ${stderr}`);
}
