/**
 * The process that `exec` makes: by its flags, by the container's configuration, by a file.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { both, type Edit, processOf, writable } from '../../helpers/container.ts';
import {
  bundleOf,
  cleanUp,
  ENGINES,
  running,
  scowWords,
  testDirectory,
} from '../../helpers/scow.ts';
import { call, RUNTIMES, script, shown, sleeping, startedFrom } from './support.ts';

afterEach(cleanUp);

/** A bundle with users that have names, and a process that is unlike the default in every way. */
function bundleWithUsers(...edits: readonly Edit[]): string {
  const bundle = bundleOf(
    both(running('sleep', '1000'), writable, ...edits, (config) => {
      const process = processOf(config);
      process.env = [...(process.env ?? []), 'OWN=container', 'BOTH=container'];
      process.cwd = '/tmp';
      process.user = { uid: 7, gid: 8, additionalGids: [9], umask: 0o27 };
      process.oomScoreAdj = 321;
      process.rlimits = [{ type: 'RLIMIT_NOFILE', soft: 300, hard: 400 }];
      process.noNewPrivileges = false;
    }),
  );
  const etc = join(bundle, 'rootfs/etc');
  writeFileSync(
    join(etc, 'passwd'),
    'root:x:0:0:root:/root:/bin/sh\nann:x:1000:1001:Ann:/home/ann:/bin/sh\n',
  );
  writeFileSync(join(etc, 'group'), 'root:x:0:\nann:x:1001:\nwheel:x:10:ann,bob\nstaff:x:50:bob\n');
  return bundle;
}

function processFile(process: unknown): string {
  const file = join(testDirectory(), 'process.json');
  writeFileSync(file, typeof process === 'string' ? process : JSON.stringify(process));
  return file;
}

const SHOW = `echo $OWN $BOTH $HOME; pwd; id -u; id -g; id -G; cat /proc/self/oom_score_adj
  ulimit -Hn; grep NoNewPrivs /proc/self/status`;

describe.each(RUNTIMES)('a process that %s exec makes', (runtime) => {
  test('is as the container’s own where no flag says otherwise', () => {
    const id = startedFrom(runtime, bundleWithUsers());
    expect(script(runtime, id, SHOW)).toEqual([
      'container container /',
      '/tmp',
      '7',
      '8',
      '8 9',
      '321',
      '400',
      'NoNewPrivs:\t0',
    ]);
    const flags = [
      '--env',
      'BOTH=flag',
      '--env',
      'NEW=a b=c',
      '--cwd',
      '/bin',
      '--user',
      '1000:50',
    ];
    const more = ['-g', '60', '-g', '70', '--no-new-privs'];
    expect(script(runtime, id, `${SHOW}; echo $NEW`, [...flags, ...more])).toEqual([
      'container flag /home/ann',
      '/bin',
      '1000',
      '50',
      '50 9 60 70',
      '321',
      '400',
      'NoNewPrivs:\t1',
      'a b=c',
    ]);
  });

  test('is as a file describes it', () => {
    const id = startedFrom(runtime, bundleWithUsers());
    const file = processFile({
      args: ['sh', '-c', SHOW],
      cwd: '/etc',
      env: ['PATH=/bin', 'BOTH=file'],
      user: { uid: 1000, gid: 1001, additionalGids: [10] },
      noNewPrivileges: true,
      rlimits: [{ type: 'RLIMIT_NOFILE', soft: 100, hard: 200 }],
    });
    expect(shown(runtime, id, [], ['--process', file])).toEqual([
      'file /home/ann',
      '/etc',
      '1000',
      '1001',
      '1001 10',
      '321',
      '200',
      'NoNewPrivs:\t1',
    ]);
  });

  test('gets all words after the container’s ID', () => {
    const id = sleeping(runtime);
    const words = ['--user', '-e', '--', '-t', '', '--detach=true'];
    expect(shown(runtime, id, ['sh', '-c', 'printf "<%s>\\n" "$@"', '-x', ...words])).toEqual(
      words.map((word) => `<${word}>`),
    );
  });

  test('has what scow’s caller hands over, and nothing else', () => {
    const id = sleeping(runtime);
    // The fourth is what ls reads the folder with.
    expect(shown(runtime, id, ['ls', '/proc/self/fd'])).toEqual(['0', '1', '2', '3']);
    expect(shown(runtime, id, ['grep', '-E', 'Sig(Blk|Ign)', '/proc/self/status'])).toEqual([
      'SigBlk:\t0000000000000000',
      'SigIgn:\t0000000000000000',
    ]);
  });
});

/** What comes of a command, and how it ends. */
const ENDINGS: readonly (readonly [name: string, program: readonly string[], status: number])[] = [
  ['a success', ['true'], 0],
  ['a failure', ['sh', '-c', 'exit 42'], 42],
  ['a signal', ['sh', '-c', 'kill -9 $$'], 137],
];

describe.each(RUNTIMES)('the exit status of %s exec', (runtime) => {
  test('is that of the program', () => {
    const id = sleeping(runtime);
    for (const [name, program, status] of ENDINGS)
      expect({ name, status: call(runtime, ['exec', id, ...program]).status }).toEqual({
        name,
        status,
      });
  });

  test('is 255 when there is no program that ran', () => {
    const id = sleeping(runtime);
    const failing = [
      ['no-such-container', 'true'],
      [id, 'no-such-program'],
      [id, '/etc/passwd'],
      [id, '/etc'],
      ['--cwd', '/nowhere', id, 'true'],
      ['--pid-file', '/nowhere/pid', id, 'true'],
      ['--process', '/nowhere', id],
      ['--user', 'x', id, 'true'],
    ];
    for (const args of failing) {
      const { status, stdout } = call(runtime, ['exec', ...args]);
      expect({ args, status, stdout }).toEqual({ args, status: 255, stdout: '' });
    }
  });
});

test.each(ENGINES)(
  'scow exec under %s keeps the umask and limits of the container’s process',
  (engine) => {
    const id = startedFrom(engine, bundleWithUsers());
    expect(script(engine, id, 'umask; ulimit -Sn')).toEqual(['0027', '300']);
    const file = processFile({ args: ['sh', '-c', 'umask'], cwd: '/', user: { uid: 0, gid: 0 } });
    expect(shown(engine, id, [], ['--process', file])).toEqual(['0027']);
  },
);

describe.each(['bun'] as const)('scow exec under %s', (engine) => {
  const fails = (args: readonly string[]) => {
    const { status, stdout, stderr } = call(engine, ['exec', ...args]);
    expect({ args, status, stdout }).toEqual({ args, status: 255, stdout: '' });
    return stderr;
  };

  test('says in one line why no program ran', () => {
    const id = sleeping(engine, writable);
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [['nope', 'true'], /container does not exist: there is no "nope" in /],
      [[id, 'nope'], /cannot find the program "nope" in PATH .*: no such file or directory/],
      [[id, '/etc/passwd'], /"\/etc\/passwd": permission denied \(EACCES\)/],
      [[id], /no program to execute: give it after the container ID, or use --process FILE/],
      [[], /<container-id> is missing \(see scow exec --help\)/],
      [['--cwd', 'bin', id, 'true'], /--cwd bin: give an absolute path in the container/],
      [['--cwd', '/nope', id, 'true'], /working directory \/nope \(chdir\): no such file/],
      [['--env', 'X', id, 'true'], /--env X: give NAME=VALUE/],
      [['--env', '=x', id, 'true'], /--env =x: give NAME=VALUE/],
      [['--cap', 'CAP_NOPE', id, 'true'], /--cap CAP_NOPE: unknown capability CAP_NOPE/],
      [['-g', '-1', id, 'true'], /--additional-gids -1: give the number of a group/],
      [['--nope', id, 'true'], /unknown option '--nope' \(see scow exec --help\)/],
      [['--cgroup', '../x', id, 'true'], /--cgroup \.\.\/x: it must not contain «\.\.»/],
      [['--cgroup', 'cpu:x', id, 'true'], /--cgroup cpu:x: give a path alone/],
      [
        ['--cgroup', 'nope', id, 'true'],
        /cannot start a process in cgroup .*\/nope: the cgroup does not exist/,
      ],
      [['-d', '-t', id, 'true'], /a terminal with --detach needs --console-socket/],
      [['--console-socket', '/x', id, 'true'], /the process has no terminal: add --tty/],
      [['--pidfd-socket', '/x', id, 'true'], /cannot send the pidfd to socket \/x: no such file/],
      [['--apparmor', 'x', id, 'true'], /AppArmor.*\[\/process\/apparmorProfile\]/],
      [['--process-label', 'x', id, 'true'], /SELinux.*\[\/process\/selinuxLabel\]/],
    ];
    for (const [args, message] of cases) {
      const stderr = fails(args);
      expect(stderr).toMatch(/^scow: [^\n]+\n$/);
      expect(stderr).toMatch(message);
    }
  });

  test('says what is wrong with the file that describes the process, and where', () => {
    const id = sleeping(engine);
    const good = { args: ['true'], cwd: '/', user: { uid: 0, gid: 0 } };
    const cases: readonly (readonly [unknown, RegExp])[] = [
      ['', /process\.json: the file is empty/],
      ['{', /process\.json: not JSON: line 1, column 2/],
      [[], /process\.json: the file holds an array/],
      [{ ...good, args: [] }, /process\.json: \/args: an empty array; allowed: /],
      [{ ...good, cwd: 'tmp' }, /process\.json: \/cwd: "tmp"; allowed: /],
      [{ ...good, user: { uid: -1, gid: 0 } }, /process\.json: \/user\/uid: -1; allowed: /],
      [
        { ...good, capabilities: { bounding: ['X'] } },
        /\/capabilities\/bounding\/0: "X"; allowed: /,
      ],
      [
        { ...good, rlimits: [{ type: 'RLIMIT_CORE', soft: 2, hard: 1 }] },
        /\/rlimits\/0\/soft: 2; allowed: an integer up to the hard limit/,
      ],
      [{ ...good, env: ['A=\0'] }, /\/env\/0: .*; allowed: a string without NUL/],
    ];
    for (const [process, message] of cases) {
      const stderr = fails(['--process', processFile(process), id]);
      expect(stderr).toMatch(/^scow: [^\n]+\n$/);
      expect(stderr).toMatch(message);
    }
  });

  test('finds users and groups by the names that the container has for them', () => {
    const id = startedFrom(engine, bundleWithUsers());
    const who = (user: string) =>
      script(engine, id, 'echo $(id -u) $(id -g) $(id -G)', ['-u', user]);
    expect(who('ann')).toEqual(['1000 1001 1001 10']);
    expect(who('ann:staff')).toEqual(['1000 50 50']);
    expect(who('ann:60')).toEqual(['1000 60 60']);
    expect(who('1000')).toEqual(['1000 8 8 9']);
    expect(who('7:wheel')).toEqual(['7 10 10 9']);
    expect(who('root')).toEqual(['0 0 0']);
  });

  test('takes nothing for a number or a name that is neither', () => {
    const id = startedFrom(engine, bundleWithUsers());
    const wrong = ['1000x', '0x3e8', '+1', '-1', ' 1', '1 ', '1:', ':1', '1:2:3', '1e3', 'a/b'];
    for (const user of [...wrong, '4294967295', '99999999999', '1:4294967295'])
      expect(fails([`--user=${user}`, id, 'true'])).toMatch(/^scow: --user [^\n]+\n$/);
    expect(fails(['--user', 'bob', id, 'true'])).toBe(
      'scow: --user bob: the container\'s /etc/passwd has no user "bob"\n',
    );
    expect(fails(['--user', 'ann:bob', id, 'true'])).toBe(
      'scow: --user ann:bob: the container\'s /etc/group has no group "bob"\n',
    );
    script(engine, id, 'rm /etc/passwd; mkfifo /etc/passwd; rm /etc/group', ['-u', '0:0']);
    expect(fails(['--user', 'ann', id, 'true'])).toBe(
      "scow: --user ann: cannot read the container's /etc/passwd: it is no regular file\n",
    );
    expect(fails(['--user', '1:ann', id, 'true'])).toMatch('/etc/group has no group "ann"');
  });

  test('does not depend on the bundle any more', () => {
    const bundle = bundleWithUsers();
    const id = startedFrom(engine, bundle);
    writeFileSync(join(bundle, 'config.json'), '{}');
    expect(script(engine, id, 'echo $OWN')).toEqual(['container']);
  });

  test('adds flags to what a file describes', () => {
    const id = startedFrom(engine, bundleWithUsers());
    const file = processFile({ args: ['env'], cwd: '/', user: { uid: 0, gid: 0 }, env: ['A=1'] });
    const flags = ['--process', file, '--env', 'A=2', '--env', 'HOME=/x'];
    expect(shown(engine, id, [], flags)).toEqual(['A=2', 'HOME=/x']);
    expect(shown(engine, id, ['sh', '-c', 'pwd'], [...flags, '--cwd', '/etc'])).toEqual(['/etc']);
  });

  test('has no directory of the host’s for a working directory', () => {
    const id = sleeping(engine);
    const inside = ['sh', '-c', 'test . -ef /'];
    for (let fd = 0; fd < 12; fd++) {
      const { status, stderr } = call(engine, ['exec', `--cwd=/proc/self/fd/${fd}`, id, ...inside]);
      if (status === 0) continue;
      expect(status).toBe(255);
      expect(stderr).toMatch(/^scow: cannot change to the working directory [^\n]+\n$/);
    }
    const args = ['exec', '--preserve-fds=1', '--cwd=/proc/self/fd/3'];
    const { status, stderr } = spawnSync(
      'bash',
      ['-c', 'exec 3</; exec "$@"', 'bash', ...scowWords(engine), ...args, id, ...inside],
      { encoding: 'utf8' },
    );
    expect({ status, stderr }).toEqual({
      status: 255,
      stderr: expect.stringMatching(/^scow: cannot change .*: it leads out of the container .*\n$/),
    });
  });
});
