import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  both,
  type Edit,
  lines,
  output,
  portable,
  processOf,
  run,
  runBundle,
  shell,
  writable,
} from '../../helpers/container.ts';
import {
  bundleOf,
  cleanUp,
  type EditableConfig,
  ENGINES,
  newId,
  scow,
  testDirectory,
} from '../../helpers/scow.ts';

afterEach(cleanUp);

type Process = NonNullable<EditableConfig['process']>;

/** Changes fields of the process. */
const process_ =
  (change: Partial<Process>): Edit =>
  (config) => {
    config.process = { ...processOf(config), ...change };
  };

describe.each(ENGINES)('the process under %s', (engine) => {
  it('has its user, group and additional groups', () => {
    const edit = process_({ user: { uid: 1234, gid: 5678, additionalGids: [10, 4294967294, 20] } });
    const script = 'grep -E "^(Uid|Gid|Groups)" /proc/self/status';
    const shown = lines(engine, script, edit);
    expect(shown).toEqual([
      'Uid:\t1234\t1234\t1234\t1234',
      'Gid:\t5678\t5678\t5678\t5678',
      'Groups:\t10 20 4294967294',
    ]);
    expect(lines('crun', script, edit)).toEqual(shown);
  });

  it('keeps the groups of the caller, where an annotation of crun asks for it', () => {
    const keeping =
      (value: string): Edit =>
      (config) => {
        config.annotations = { 'run.oci.keep_original_groups': value };
        processOf(config).user = { uid: 0, gid: 0, additionalGids: [7] };
      };
    const through = ['setpriv', '--groups=11,12', '--'];
    const groups = (edit: Edit) =>
      run(engine, both(portable, edit, shell('id -G')), { through }).stdout;
    expect(groups(keeping('1'))).toBe('0 11 12\n');
    expect(groups(keeping('0'))).toBe('0 7\n');
  });

  it.each([
    [undefined, '0022'],
    [0o077, '0077'],
    [0, '0000'],
    [0o777, '0777'],
  ])('has the umask %s: %s', (umask, expected) => {
    const user = { uid: 0, gid: 0, ...(umask === undefined ? {} : { umask }) };
    expect(lines(engine, 'umask', process_({ user }))).toEqual([expected]);
  });

  it('has every resource limit that is configured', () => {
    const types = {
      AS: ['v', 1e9],
      CORE: ['c', 512],
      CPU: ['t', 60],
      DATA: ['d', 1e9],
      FSIZE: ['f', 512e3],
      MEMLOCK: ['l', 4096],
      MSGQUEUE: ['', 4096],
      NICE: ['e', 0],
      NOFILE: ['n', 100],
      NPROC: ['p', 50],
      RSS: ['m', 1e9],
      RTPRIO: ['r', 0],
      RTTIME: ['', 5],
      SIGPENDING: ['', 7],
      STACK: ['s', 1e6],
      LOCKS: ['w', 9],
    } as const;
    const rlimits = Object.entries(types).map(([name, [, soft]]) => ({
      type: `RLIMIT_${name}` as NonNullable<Process['rlimits']>[number]['type'],
      soft,
      hard: soft,
    }));
    const shown = lines(engine, 'cat /proc/self/limits', process_({ rlimits }));
    const names: Readonly<Record<string, keyof typeof types>> = {
      'Max cpu time': 'CPU',
      'Max file size': 'FSIZE',
      'Max data size': 'DATA',
      'Max stack size': 'STACK',
      'Max core file size': 'CORE',
      'Max resident set': 'RSS',
      'Max processes': 'NPROC',
      'Max open files': 'NOFILE',
      'Max locked memory': 'MEMLOCK',
      'Max address space': 'AS',
      'Max file locks': 'LOCKS',
      'Max pending signals': 'SIGPENDING',
      'Max msgqueue size': 'MSGQUEUE',
      'Max nice priority': 'NICE',
      'Max realtime priority': 'RTPRIO',
      'Max realtime timeout': 'RTTIME',
    };
    const found = shown.slice(1).map((line) => /^(.*?) {2,}(\S+) +(\S+)/.exec(line)?.slice(1, 4));
    expect(found).toHaveLength(16);
    for (const [label = '', soft, hard] of found as string[][]) {
      const expected = String(types[names[label] as keyof typeof types][1]);
      expect([label, soft, hard]).toEqual([label, expected, expected]);
    }
  });

  it('has its OOM score adjustment', () => {
    const edit = process_({ oomScoreAdj: 321 });
    expect(lines(engine, 'cat /proc/self/oom_score_adj', edit)).toEqual(['321']);
  });

  it('has its arguments, whatever they hold', () => {
    const args = [
      '',
      ' ',
      'two words',
      '"quoted"',
      "it's",
      'a\nb',
      '$HOME',
      '*',
      'ü€😀',
      '\\',
      '--',
    ];
    const edit = both(
      portable,
      process_({ args: ['sh', '-c', 'printf "<%s>" "$@"', 'sh', ...args] }),
    );
    expect(output(engine, edit)).toBe(args.map((arg) => `<${arg}>`).join(''));
  });

  it('has HOME from the user database of the container, unless it is set', () => {
    const bundleWith = (uid: number, env: string[] = []) => {
      const bundle = bundleOf(
        both(
          portable,
          process_({ user: { uid, gid: 0 }, env: ['PATH=/bin', ...env] }),
          shell('echo $HOME'),
        ),
      );
      const passwd = 'root:x:0:0::/root:/bin/sh\nbroken\nu:x:7:7::/home/u:/bin/sh\nn:x:8:8:::\n';
      writeFileSync(join(bundle, 'rootfs/etc/passwd'), passwd);
      return bundle;
    };
    const homes = (runtime: Parameters<typeof runBundle>[0]) =>
      [
        bundleWith(0),
        bundleWith(7),
        bundleWith(99),
        bundleWith(7, ['HOME=/set']),
        bundleWith(7, ['HOME=/set', 'HOME=']),
        // runc 1.1 would give /dev/null to the user.
      ].map((bundle) => runBundle(runtime, bundle, { input: '' }).stdout);
    expect(homes(engine)).toEqual(['/root\n', '/home/u\n', '/\n', '/set\n', '/home/u\n']);
    expect(homes('runc')).toEqual(homes(engine));
  });

  it('has each variable once, with its last value', () => {
    const env = ['A=1', 'PATH=/nowhere', 'B==', 'A=', 'HOME=/x', 'B=2', 'PATH=/bin', 'A=3 =4'];
    const edit = both(portable, process_({ args: ['env'], env }));
    const expected = 'HOME=/x\nB=2\nPATH=/bin\nA=3 =4\n';
    expect(output(engine, edit)).toBe(expected);
  });

  it('can open its standard streams anew as a user', () => {
    // No other test has this user, and may have left /dev/null to it as runc 1.1 does.
    const user = process_({ user: { uid: 61_007, gid: 1000 } });
    const script = 'echo out >> /dev/stdout; echo err >> /dev/stderr';
    const edit = both(portable, user, shell(script));
    // Pipes, and files that only root may write.
    const through = ['bash', '-c', '("$@" | cat) 2>&1 | sort', 'bash'];
    expect(run(engine, edit, { through }).stdout).toBe('err\nout\n');
    expect(run(engine, edit)).toMatchObject({ stdout: 'out\n', stderr: 'err\n' });
    expect(statSync('/dev/null').uid).not.toBe(61_007);
  });
});

describe.each(ENGINES)('the working directory under %s', (engine) => {
  it('is made when it is missing', () => {
    const edit = both(writable, process_({ cwd: '/not/there' }));
    const script = 'pwd; stat -c "%a %u %g" /not /not/there';
    expect(lines(engine, script, edit)).toEqual(['/not/there', '755 0 0', '755 0 0']);
    expect(lines('runc', script, edit)).toEqual(['/not/there', '755 0 0', '755 0 0']);
  });

  it('may lie on a mount', () => {
    const edit: Edit = (config) => {
      config.mounts?.push({ destination: '/tmp', type: 'tmpfs', source: 'tmpfs' });
      processOf(config).cwd = '/tmp/a/b';
    };
    expect(lines(engine, 'pwd', edit)).toEqual(['/tmp/a/b']);
  });

  it('may be one that only root may enter, or only the user', () => {
    const bundle = bundleOf(
      both(
        portable,
        process_({ cwd: '/private', user: { uid: 1000, gid: 1000 } }),
        shell('pwd; ls'),
      ),
    );
    const directory = join(bundle, 'rootfs/private');
    mkdirSync(directory);
    chmodSync(directory, 0o700);
    expect(runBundle(engine, bundle)).toMatchObject({ stdout: '/private\n' });
    spawnSync('chown', ['1000', directory]);
    expect(runBundle(engine, bundle)).toMatchObject({ stdout: '/private\n', stderr: '' });
  });

  it('is refused when it is no directory, in one line', () => {
    const bundle = bundleOf(both(portable, process_({ cwd: '/etc/passwd' })));
    const { status, stderr } = runBundle(engine, bundle);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^scow: .*\/etc\/passwd.*\[\/process\/cwd\]\n$/);
  });
});

describe.each(ENGINES)('the program under %s', (engine) => {
  /** Says which of the programs was executed. */
  function found(args: string[], env: string[], change: Partial<Process> = {}) {
    const bundle = bundleOf(both(portable, process_({ args, env, ...change })));
    const program = (path: string, mode: number) => {
      const file = join(bundle, 'rootfs', path);
      mkdirSync(join(file, '..'), { recursive: true });
      writeFileSync(file, `#!/bin/sh\necho ${path} "$@"\n`);
      chmodSync(file, mode);
    };
    program('a/it', 0o644);
    mkdirSync(join(bundle, 'rootfs/b/it'), { recursive: true });
    program('c/it', 0o755);
    program('d/it', 0o755);
    program('it', 0o755);
    program('private/it', 0o700);
    symlinkSync('/d/it', join(bundle, 'rootfs/c/link'));
    symlinkSync('loop', join(bundle, 'rootfs/c/loop'));
    const { status, stdout, stderr } = runBundle(engine, bundle);
    return status === 0 ? stdout.trimEnd() : stderr;
  }

  it.each([
    [['it', 'x'], ['PATH=/c:/d'], 'c/it x'],
    [['it'], ['PATH=/none:/d:/c'], 'd/it'],
    [['it'], ['PATH=/a:/b:/c'], 'c/it'],
    [['it'], ['PATH=:/c'], 'it'],
    [['it'], ['PATH=/a::/c'], 'it'],
    [['it'], ['PATH=c'], 'c/it'],
    [['it'], ['PATH=/d', 'PATH=/c'], 'c/it'],
    [['link'], ['PATH=/c'], 'd/it'],
    [['/c/it'], ['PATH=/d'], 'c/it'],
    [['./it'], ['PATH=/d'], 'it'],
    [['d/it'], ['PATH=/c'], 'd/it'],
  ])('%j with %j is %s', (args, env, expected) => {
    expect(found(args, env)).toContain(expected);
  });

  it.each([
    [['it'], ['PATH=/a'], /it.*\/a/],
    [['it'], ['PATH=/none:/a:/none'], /it.*\/a.*: it is there, but is no file that the user/],
    [['it'], ['PATH=/b:/none'], /it.*\/b.*: it is there, but is no file that the user/],
    [['none'], ['PATH=/c:/d'], /none.*\/c:\/d/],
    [['/b/it'], ['PATH=/c'], /\/b\/it/],
    [['/none'], ['PATH=/c'], /\/none/],
    [['loop'], ['PATH=/c'], /loop/],
  ])('%j with %j is an error of create', (args, env, expected) => {
    const message = found(args, env);
    expect(message).toMatch(/^scow: .*\[\/process\/args\/0\]\n$/);
    expect(message).toMatch(expected);
  });

  it('is one that the user may execute', () => {
    const user = { uid: 1000, gid: 1000 };
    expect(found(['it'], ['PATH=/private:/c'], { user })).toContain('c/it');
    expect(found(['/private/it'], ['PATH=/c'], { user })).toMatch(/\[\/process\/args\/0\]/);
  });
});

describe.each(ENGINES)('the PID file under %s', (engine) => {
  it('has the PID of init, as create leaves it', () => {
    const id = newId();
    const file = join(testDirectory(), 'pid');
    const bundle = bundleOf(both(portable, shell('sleep 1000')));
    const args = ['create', '--bundle', bundle, '--pid-file', file, id];
    expect(scow(args, { engine })).toMatchObject({ status: 0, stderr: '' });
    const { pid } = JSON.parse(scow(['state', id], { engine }).stdout);
    expect(readFileSync(file, 'utf8')).toBe(String(pid));
  });
});
