/**
 * Stands in for node:fs: the functions that are used, each of which can fail.
 */
import * as fs from 'node:fs';
import { promisify } from 'node:util';
import { errnoCode, explainErrno } from '../../runtime/linux/errno.ts';
import { nextOfScow } from './fault.ts';

export { constants } from 'node:fs';

/** An error as node:fs throws it. */
function failure(name: string, code: string): Error {
  const message = `${code}: ${explainErrno(errnoCode(code))}, ${name}`;
  return Object.assign(new Error(message), { code, errno: -errnoCode(code), syscall: name });
}

/** The same for a function with a callback. */
function faultyLater<T>(name: string, real: T): T {
  return ((...args: unknown[]) => {
    const fault = nextOfScow(name);
    if (fault === undefined) return (real as (...args: unknown[]) => unknown)(...args);
    const done = args.at(-1) as (error: Error) => void;
    return setImmediate(() => done(failure(name, fault)));
  }) as T;
}

/** The results of those are named; promisify(3) knows the engine's own functions only. */
function named<T extends object>(wrapped: T, ...names: readonly string[]): T {
  const promised = (...args: unknown[]) =>
    new Promise((resolve, reject) => {
      (wrapped as unknown as (...args: unknown[]) => void)(
        ...args,
        (error: Error | null, ...results: unknown[]) => {
          if (error !== null) reject(error);
          else resolve(Object.fromEntries(names.map((name, i) => [name, results[i]])));
        },
      );
    });
  return Object.assign(wrapped, { [promisify.custom]: promised });
}

/** The same function, which fails when its number is called. */
function faulty<T>(name: string, real: T): T {
  return ((...args: unknown[]) => {
    const fault = nextOfScow(`${name} ${args[0]}`);
    if (fault === undefined) return (real as (...args: unknown[]) => unknown)(...args);
    throw failure(name, fault);
  }) as T;
}

export const accessSync = faulty('access', fs.accessSync);
export const appendFileSync = faulty('appendFile', fs.appendFileSync);
export const chmodSync = faulty('chmod', fs.chmodSync);
export const chownSync = faulty('chown', fs.chownSync);
export const copyFileSync = faulty('copyFile', fs.copyFileSync);
export const cpSync = faulty('cp', fs.cpSync);
export const fchmodSync = faulty('fchmod', fs.fchmodSync);
export const fchownSync = faulty('fchown', fs.fchownSync);
export const fdatasyncSync = faulty('fdatasync', fs.fdatasyncSync);
export const fstatSync = faulty('fstat', fs.fstatSync);
export const fsyncSync = faulty('fsync', fs.fsyncSync);
export const ftruncateSync = faulty('ftruncate', fs.ftruncateSync);
export const futimesSync = faulty('futimes', fs.futimesSync);
export const lchownSync = faulty('lchown', fs.lchownSync);
export const linkSync = faulty('link', fs.linkSync);
export const lstatSync = faulty('lstat', fs.lstatSync);
export const lutimesSync = faulty('lutimes', fs.lutimesSync);
export const mkdirSync = faulty('mkdir', fs.mkdirSync);
export const mkdtempSync = faulty('mkdtemp', fs.mkdtempSync);
export const openSync = faulty('open', fs.openSync);
export const opendirSync = faulty('opendir', fs.opendirSync);
export const readSync = faulty('read', fs.readSync);
export const readFileSync = faulty('read', fs.readFileSync);
export const readdirSync = faulty('readdir', fs.readdirSync);
export const readlinkSync = faulty('readlink', fs.readlinkSync);
export const readvSync = faulty('readv', fs.readvSync);
export const realpathSync = faulty('realpath', fs.realpathSync);
export const renameSync = faulty('rename', fs.renameSync);
export const rmSync = faulty('unlink', fs.rmSync);
export const rmdirSync = faulty('rmdir', fs.rmdirSync);
export const statSync = faulty('stat', fs.statSync);
export const statfsSync = faulty('statfs', fs.statfsSync);
export const symlinkSync = faulty('symlink', fs.symlinkSync);
export const truncateSync = faulty('truncate', fs.truncateSync);
export const unlinkSync = faulty('unlink', fs.unlinkSync);
export const utimesSync = faulty('utimes', fs.utimesSync);
export const writeSync = faulty('write', fs.writeSync);
export const writevSync = faulty('writev', fs.writevSync);

export const fsync = faultyLater('fsync', fs.fsync);
export const read = named(faultyLater('read', fs.read), 'bytesRead', 'buffer');
export const write = named(faultyLater('write', fs.write), 'bytesWritten', 'buffer');

/** Nothing comes of what it says, if it says something: the descriptor is free. */
export function closeSync(fd: number): void {
  nextOfScow(`close ${fd}`);
  fs.closeSync(fd);
}

/** It has no error to tell. */
export function existsSync(path: fs.PathLike): boolean {
  nextOfScow(`exists ${path}`);
  return fs.existsSync(path);
}

/** The calls that it makes are told apart: half a file may be left. */
export function writeFileSync(
  file: string,
  data: string | Uint8Array,
  { mode = 0o666, flag = 'w' }: { mode?: number; flag?: string } = {},
): void {
  const make = faulty('create', fs.openSync);
  const fd = make(file, flag, mode);
  try {
    if (typeof data === 'string') writeSync(fd, data);
    else writeSync(fd, data);
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
  const fault = nextOfScow(`flush ${file}`);
  fs.closeSync(fd);
  if (fault !== undefined) throw failure('close', fault);
}
