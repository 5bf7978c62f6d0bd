/**
 * Programs that cannot be executed: what can be told before the start fails the `create`, and
 * the rest the `start`, with one line; nothing is left behind.
 */
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleOf, cleanUp, newId, scow } from '../../helpers/scow.ts';
import { ENGINES, failureOf, whole } from './failing.ts';

afterEach(cleanUp);

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const DENIED =
  'permission denied (EACCES): it is there, but is no file that the user of the process may execute';

function bundleWith(args: readonly string[], files: (bin: string) => void): string {
  const bundle = bundleOf(
    whole(({ process }) => {
      process.args = [...args];
    }),
  );
  files(join(bundle, 'rootfs/bin'));
  return bundle;
}

/** A program of this machine, with another machine's number in its ELF header. */
function foreign(file: string): void {
  const program = readFileSync('/bin/true');
  program.writeUInt16LE(0xf3, 18);
  writeFileSync(file, program, { mode: 0o755 });
}

const nothing = () => {};

const MISSING: Readonly<Record<string, readonly [string, (bin: string) => void, string]>> = {
  'in no directory of PATH': [
    'none',
    nothing,
    `cannot find the program "none" in PATH (${PATH}): no such file or directory (ENOENT)  [/process/args/0]`,
  ],
  'not at its path': [
    '/bin/none',
    nothing,
    'cannot find the program "/bin/none": no such file or directory (ENOENT)  [/process/args/0]',
  ],
  'below a file': [
    '/bin/sh/none',
    nothing,
    'cannot find the program "/bin/sh/none": not a directory (ENOTDIR)  [/process/args/0]',
  ],
  'a directory': ['/bin', nothing, `cannot find the program "/bin": ${DENIED}  [/process/args/0]`],
  'not executable': [
    'plain',
    (bin) => writeFileSync(join(bin, 'plain'), '#!/bin/sh\n', { mode: 0o644 }),
    `cannot find the program "plain" in PATH (${PATH}): ${DENIED}  [/process/args/0]`,
  ],
  'a symlink to itself': [
    '/bin/loop',
    (bin) => symlinkSync('loop', join(bin, 'loop')),
    'cannot find the program "/bin/loop": too many levels of symbolic links (ELOOP)  [/process/args/0]',
  ],
};

const BROKEN: Readonly<Record<string, readonly [string, (bin: string) => void, string]>> = {
  'of another machine': [
    'foreign',
    (bin) => foreign(join(bin, 'foreign')),
    'exec format error (ENOEXEC): it is neither a program for this machine nor a script that begins with «#!»',
  ],
  'neither a program nor a script': [
    'text',
    (bin) => writeFileSync(join(bin, 'text'), 'hello\n', { mode: 0o755 }),
    'exec format error (ENOEXEC): it is neither a program for this machine nor a script that begins with «#!»',
  ],
  'a script without its interpreter': [
    'script',
    (bin) => writeFileSync(join(bin, 'script'), '#!/usr/bin/python\n', { mode: 0o755 }),
    'no such file or directory (ENOENT): the interpreter that it names (after «#!», or as its ELF loader) is not in the container',
  ],
  'a program without its loader': [
    'dynamic',
    (bin) => copyFileSync('/bin/true', join(bin, 'dynamic')),
    'no such file or directory (ENOENT): the interpreter that it names (after «#!», or as its ELF loader) is not in the container',
  ],
};

describe.each(ENGINES)('a program that is (%s)', (engine) => {
  test.each(Object.entries(MISSING))('%s', (_, [program, files, line]) => {
    const bundle = bundleWith([program], files);
    expect(failureOf(bundle, { engine })).toBe(line);
    if (engine === 'bun') expect(failureOf(bundle, { engine, command: 'run' })).toBe(line);
  });

  test.each(Object.entries(BROKEN))('%s', (_, [program, files, why]) => {
    const bundle = bundleWith([program], files);
    const line = `cannot execute "${program}": ${why}  [/process/args/0]`;
    expect(failureOf(bundle, { engine, command: 'start' })).toBe(line);
    if (engine !== 'bun') return;
    expect(failureOf(bundle, { engine, command: 'run' })).toBe(line);
    expect(failureOf(bundle, { engine, command: 'run', flags: ['--detach'] })).toBe(line);
  });

  test('given too many arguments', () => {
    const bundle = bundleWith(['true', 'x'.repeat(200_000)], nothing);
    expect(failureOf(bundle, { engine, command: 'start' })).toBe(
      'cannot execute "true": argument list too long (E2BIG): the arguments and the environment are more than the kernel takes, execve(2)  [/process/args/0]',
    );
  });
});

/** As in runc: root changes to the directory before it becomes the user. */
test('a working directory that only root may enter is entered', () => {
  const bundle = bundleOf(
    whole(({ process }) => {
      process.args = ['sh', '-c', 'readlink /proc/self/cwd; id -u'];
      process.cwd = '/private';
      process.user = { uid: 1000, gid: 1000 };
    }),
  );
  mkdirSync(join(bundle, 'rootfs/private'), { mode: 0o700 });
  const { status, stdout } = scow(['run', '-b', bundle, newId()], { engine: 'bun' });
  expect({ status, stdout }).toEqual({ status: 0, stdout: '/private\n1000\n' });
});
