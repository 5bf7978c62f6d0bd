/**
 * What a program inherits from scow's caller, and what it must not inherit from the engine that
 * scow is written for: the same as under crun, however scow is called.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type ContainerOptions,
  type Edit,
  lines,
  output,
  processOf,
  type Runtime,
} from '../../helpers/container.ts';
import { cleanUp, ENGINES, testDirectory } from '../../helpers/scow.ts';

afterEach(cleanUp);

/** Everything of a process that survives an exec. */
const SHOW = `
  grep -E '^(Sig(Blk|Ign|Cgt)|ShdPnd|Cap|Groups|Uid|Gid|Umask|NoNewPrivs|Seccomp)' /proc/self/status
  cat /proc/self/limits /proc/self/oom_score_adj /proc/self/personality /proc/self/timerslack_ns
  cut -d' ' -f18,19,40,41 /proc/self/stat
  ls -l /proc/self/fd 2>/dev/null | sed -n '/->/{ s/^.* \\([0-9]* ->\\)/\\1/; s/\\[[0-9]*\\]/[]/; s/proc.[0-9]*/proc/; p }'
  env`;

const noLimits: Edit = (config) => {
  const { rlimits: _, ...process } = processOf(config);
  config.process = process;
};

const bash = (script: string): ContainerOptions => ({ through: ['bash', '-c', script, 'bash'] });
/** Not by exec: Node.js has lost its own limit, and scow looks at its parent's. */
const RUN = '"$@"; exit $?';

const CALLERS: readonly (readonly [name: string, options: ContainerOptions])[] = [
  ['nothing special', bash(RUN)],
  ['a low soft RLIMIT_NOFILE', bash(`ulimit -Sn 300; ${RUN}`)],
  ['a low hard RLIMIT_NOFILE', bash(`ulimit -Sn 300; ulimit -Hn 400; ${RUN}`)],
  ['other limits', bash(`ulimit -c 0; ulimit -s 4096; ulimit -u 5000; ${RUN}`)],
  ['another umask', bash(`umask 077; ${RUN}`)],
  ['ignored signals', { through: ['env', '--ignore-signal=INT,PIPE,USR1,TERM,XFSZ,RTMIN'] }],
  ['blocked signals', { through: ['env', '--block-signal=INT,CHLD,USR1,USR2,TERM,RTMIN'] }],
  ['open descriptors', bash(`exec 5</etc/passwd 9>/dev/null 15<>/dev/null; ${RUN}`)],
  ['closed standard input', bash(`${RUN} <&-`)],
  ['pipes as streams', bash('cat /dev/null | "$@" 2>&1 | cat')],
  ['environment variables', bash(`export LEAK=1 NODE_OPTIONS= BUN_OPTIONS= HOME=/x; ${RUN}`)],
  ['capabilities', { through: ['setpriv', '--inh-caps=+net_raw,+chown', '--ambient-caps=+chown'] }],
  ['additional groups', { through: ['setpriv', '--groups=7,8,9'] }],
  ['a nice value', { through: ['nice', '-n', '5'] }],
  ['an OOM score', bash(`echo 300 > /proc/self/oom_score_adj; ${RUN}`)],
  ['a timer slack', bash(`echo 70000 > /proc/self/timerslack_ns; ${RUN}`)],
  ['no session of its own', { through: ['setsid', '--wait'] }],
];

const peers = new Map<string, string[]>();

function inherited(runtime: Runtime, name: string, options: ContainerOptions): string[] {
  const found = runtime === 'crun' ? peers.get(name) : undefined;
  if (found !== undefined) return found;
  const shown = lines(runtime, SHOW, noLimits, options);
  if (runtime === 'crun') peers.set(name, shown);
  return shown;
}

describe.each(ENGINES)('a program under scow, %s,', (engine) => {
  it.each(CALLERS)('inherits from a caller with %s what it does under crun', (name, options) => {
    expect(inherited(engine, name, options)).toEqual(inherited('crun', name, options));
  });

  it('has the hard RLIMIT_NOFILE of a caller that becomes scow', () => {
    const through = ['bash', '-c', 'ulimit -n 400; exec "$@"', 'bash'];
    expect(lines(engine, 'ulimit -Sn; ulimit -Hn', noLimits, { through })).toEqual(['400', '400']);
  });

  it('gets no signal blocked or ignored', () => {
    const through = ['env', '--ignore-signal=PIPE,USR1', '--block-signal=TERM'];
    const edit: Edit = (config) => {
      processOf(config).args = ['grep', '-E', 'Sig(Blk|Ign)', '/proc/self/status'];
    };
    const none = '0000000000000000';
    expect(output(engine, edit, { through })).toBe(`SigBlk:\t${none}\nSigIgn:\t${none}\n`);
  });

  it('inherits the descriptors that --preserve-fds names, and no other', () => {
    const file = join(testDirectory(), 'file');
    writeFileSync(file, 'third\nfourth\n');
    const through = ['bash', '-c', `exec 3<${file} 4<${file} 5<${file} 6<${file}; ${RUN}`, 'bash'];
    const script = 'read a <&3; read b <&4; echo $a $b; ls /proc/self/fd';
    const shown = (runtime: Runtime) =>
      lines(runtime, script, noLimits, { through, flags: ['--preserve-fds', '2'] });
    expect(shown(engine)).toEqual(['third third', '0', '1', '2', '3', '4', '5']);
    expect(shown('crun')).toEqual(shown(engine));
  });

  it('gets the preserved descriptors of a caller that left gaps', () => {
    const through = ['bash', '-c', `exec 4</etc/passwd; ${RUN} 3<&-`, 'bash'];
    const script =
      'ls -l /proc/self/fd 2>/dev/null | sed "s/^.* \\([0-9]* ->\\)/\\1/" | grep passwd';
    const flags = ['--preserve-fds', '2'];
    expect(lines(engine, script, noLimits, { through, flags })).toEqual(['4 -> /etc/passwd']);
  });

  it('gets the sockets of its caller’s activation, and what is said of them', () => {
    const script = 'env | grep ^LISTEN | sort; ls -l /proc/self/fd 2>/dev/null | grep -o "/etc/.*"';
    const shown = (runtime: Runtime, pid: string, fds: string) => {
      const open = 'exec 3</etc/passwd 4</etc/group 5</etc/fstab';
      const call = `${open}; LISTEN_PID=${pid} LISTEN_FDS=${fds} LISTEN_FDNAMES=web:log exec "$@"`;
      const through = ['bash', '-c', call, 'bash'];
      return lines(runtime, script, noLimits, { through, flags: ['--preserve-fds', '1'] });
    };
    const files = ['/etc/passwd', '/etc/group', '/etc/fstab'];
    expect(shown(engine, '$$', '2')).toEqual([
      'LISTEN_FDNAMES=web:log',
      'LISTEN_FDS=2',
      'LISTEN_PID=1',
      ...files,
    ]);
    // runc leaves the names out.
    expect(shown('runc', '$$', '2')).toEqual(shown(engine, '$$', '2').slice(1));
    // Those of another process, and what is no number.
    expect(shown(engine, '1', '2')).toEqual(['/etc/passwd']);
    expect(shown(engine, '$$', 'x')).toEqual(['/etc/passwd']);
  });

  it('leaves the status flags of its caller’s streams alone', () => {
    const script = `
      mkfifo "$0"; exec 7<>"$0"
      before=$(cat /proc/$$/fdinfo/7 | grep flags)
      "$@" <&7 >&7 2>&7
      during=$(head -n1 <&7)
      echo "$before, $during, $(cat /proc/$$/fdinfo/7 | grep flags)"`;
    const through = ['bash', '-c', script, join(testDirectory(), 'fifo')];
    const flags = 'grep flags /proc/self/fdinfo/1';
    const [shown = ''] = lines(engine, flags, noLimits, { through });
    expect(new Set(shown.split(', '))).toEqual(new Set(['flags:\t0100002']));
  });

  it('gets the environment of the configuration, as it is', () => {
    const env = ['B=', 'A=2', 'PATH=/bin', 'C=two words\nand = a line', 'D=ü', 'HOME=/h'];
    const edit: Edit = (config) => {
      processOf(config).env = env;
      processOf(config).args = ['cat', '/proc/self/environ'];
    };
    const shown = output(engine, edit, { env: { ...process.env, LEAK: 'x' } });
    expect(shown).toBe(env.map((entry) => `${entry}\0`).join(''));
  });
});
