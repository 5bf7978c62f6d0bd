import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { takeNofile } from '../../../runtime/launcher/environment.ts';
import { assembleLauncher } from '../../../runtime/launcher/x86-64.ts';

let folder: string;
let launcher: string;
let engine: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'scow-launcher-'));
  launcher = join(folder, 'front');
  engine = join(folder, 'engine');
  writeFileSync(launcher, assembleLauncher('engine'), { mode: 0o755 });
});
afterEach(() => rmSync(folder, { recursive: true }));

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  return spawnSync(command, args, { encoding: 'utf8', env: { PATH: process.env.PATH, ...env } });
}

describe('the environment', () => {
  beforeEach(() => symlinkSync('/usr/bin/env', engine));

  /** The variables that the engine sees, in order, without those of {@link run} and the launcher's own. */
  function engineSees(env: NodeJS.ProcessEnv): string[] {
    const { stdout } = run(launcher, ['--null'], env);
    return stdout
      .split('\0')
      .filter((v) => v !== '' && !/^(PATH|SCOW_NOFILE|BUN_JSC_useFTLJIT)=/.test(v));
  }

  test('loses what steers an engine', () => {
    expect(
      engineSees({
        FIRST: '1',
        BUN_OPTIONS: '--preload=/evil.js',
        BUN_BE_BUN: '1',
        BUN_JSC_useJIT: '0',
        NODE_OPTIONS: '--require=/evil.js',
        NODE_CHANNEL_FD: '3',
        MIDDLE: '2',
        JSC_SIGNAL_FOR_GC: '99',
        MIMALLOC_VERBOSE: '1',
        LAST: '3',
      }),
    ).toEqual(['FIRST=1', 'MIDDLE=2', 'LAST=3']);
  });

  test('keeps everything else, names that resemble the dropped ones and odd values included', () => {
    const env = {
      BUN: 'a',
      NODE: 'b',
      MY_BUN_OPTIONS: 'c',
      LD_LIBRARY_PATH: '/nowhere',
      EMPTY: '',
      LINES: 'a\nb=c',
      LONG: 'x'.repeat(100_000),
      SCOW_NOFILES: '1:1',
    };
    expect(engineSees(env)).toEqual(Object.entries(env).map(([name, value]) => `${name}=${value}`));
  });

  test('carries the limit on open files, whatever was there before', () => {
    const args = ['--nofile=50:100', launcher];
    for (const env of [{}, { SCOW_NOFILE: '1:2' }, { BUN_OPTIONS: '-p 1' }]) {
      const lines = run('prlimit', args, env).stdout.trim().split('\n');
      expect(lines.filter((line) => line.startsWith('SCOW_NOFILE'))).toEqual([
        'SCOW_NOFILE=50:100',
      ]);
    }
  });

  test('tells the engine how to compile, whatever was there before', () => {
    for (const env of [{}, { BUN_JSC_useFTLJIT: '1', BUN_JSC_useJIT: '0' }]) {
      const lines = run(launcher, [], env).stdout.trim().split('\n');
      expect(lines.filter((line) => line.startsWith('BUN_'))).toEqual(['BUN_JSC_useFTLJIT=0']);
    }
  });
});

describe('the process', () => {
  beforeEach(() => symlinkSync('/bin/bash', engine));

  test('keeps its arguments, the name it was called by included', () => {
    const { stdout } = spawnSync(launcher, ['-c', 'printf "%s\\n" "$0" "$@"', 'zero', '', 'ä b'], {
      argv0: '/some/other-name',
      encoding: 'utf8',
    });
    expect(stdout).toBe('zero\n\nä b\n');
    const named = spawnSync(launcher, ['-c', 'xargs -0 printf "%s\\n" < /proc/$$/cmdline'], {
      argv0: '/some/other-name',
      encoding: 'utf8',
    });
    expect(named.stdout.split('\n')[0]).toBe('/some/other-name');
  });

  test('keeps ignored and blocked signals', () => {
    const show = 'exec grep -E "Sig(Blk|Ign)" /proc/self/status';
    const signals = ['--block-signal=USR2', '--ignore-signal=USR1', '--ignore-signal=RTMIN'];
    const through = run('env', [...signals, launcher, '-c', show]);
    const direct = run('env', [...signals, '/bin/bash', '-c', show]);
    expect(through.stdout).toContain('SigBlk');
    expect(through.stdout).toBe(direct.stdout);
  });

  test('finds the engine beside the file itself, through links of any kind', () => {
    const elsewhere = join(folder, 'elsewhere');
    mkdirSync(elsewhere);
    symlinkSync('../front', join(elsewhere, 'link'));
    const { stdout } = run(join(elsewhere, 'link'), ['-c', 'echo here']);
    expect(stdout).toBe('here\n');
  });

  test('does not mind a long path of the current folder', () => {
    const deep = join(folder, 'd/'.repeat(300));
    mkdirSync(deep, { recursive: true });
    const { stdout } = spawnSync(launcher, ['-c', 'pwd'], { cwd: deep, encoding: 'utf8' });
    expect(stdout).toBe(`${deep.slice(0, -1)}\n`);
  });

  test('starts in a deleted folder, where nothing can be made', () => {
    const script = `mkdir ${folder}/gone && cd ${folder}/gone && rmdir ${folder}/gone && exec "$0" "$@"`;
    const { stdout, status } = run('bash', ['-c', script, launcher, '-c', 'pwd; mkdir x']);
    expect(stdout).toBe('/proc\n');
    expect(status).toBe(1);
  });
});

describe('failures', () => {
  test.each<[string, () => void, RegExp]>([
    ['a missing engine', () => {}, /no such file; it belongs beside this command/],
    ['no program', () => writeFileSync(engine, 'text', { mode: 0o755 }), /not a program for this/],
    ['an engine without mode x', () => copyFileSync('/etc/passwd', engine), /permission denied/],
    ['a circle of links', () => symlinkSync('engine', engine), /error 40/],
  ])('%s: one line that names the file, status 127', (_name, make, reason) => {
    make();
    const { stdout, stderr, status } = run(launcher, ['list']);
    expect(stderr).toMatch(/^[^\n]+\n$/);
    expect(stderr.startsWith(`scow: can't run ${engine}: `)).toBe(true);
    expect(stderr).toMatch(reason);
    expect(stdout).toBe('');
    expect(status).toBe(127);
  });
});

describe('takeNofile', () => {
  test('removes the variable and returns both numbers, no limit included', () => {
    const environment = {
      A: '1',
      BUN_JSC_useFTLJIT: '0',
      SCOW_NOFILE: '1024:18446744073709551615',
    };
    expect(takeNofile(environment)).toEqual({ soft: 1024n, hard: 2n ** 64n - 1n });
    expect(environment).toEqual({ A: '1' });
  });

  test.each(['', '1', 'a:b', '1:2:3', '-1:2'])('knows nothing from %j', (value) => {
    const environment = { SCOW_NOFILE: value };
    expect(takeNofile(environment)).toBeUndefined();
    expect(environment).toEqual({});
  });

  test('knows nothing without a launcher', () => {
    expect(takeNofile({})).toBeUndefined();
  });
});
