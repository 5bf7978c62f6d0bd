/** `completion`: people at the shells, who press the tabulator key. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Flag } from '../../../runtime/cli/flag.ts';
import { COMMANDS, GLOBAL_FLAGS, HELP_FLAG } from '../../../runtime/cli/table.ts';
import { Terminal } from '../../helpers/pty.ts';
import {
  bundleOf,
  cleanUp,
  commandOf,
  ENGINES,
  type Engine,
  newId,
  rootOf,
  running,
  scow,
  testDirectory,
} from '../../helpers/scow.ts';

const terminals: Terminal[] = [];
afterEach(() => {
  for (const terminal of terminals.splice(0)) terminal.close();
  cleanUp();
});

/** Interactive shells without anybody's own settings, and what they do with the script first. */
const SHELLS: Readonly<Record<string, { command: string[]; load: string }>> = {
  bash: { command: ['bash', '--norc', '--noprofile', '-i'], load: 'PS1=; source ./script' },
  zsh: {
    command: ['zsh', '-f', '-i'],
    load: 'PS1=; autoload -U compinit; compinit -u -D; source ./script',
  },
  fish: {
    command: ['fish', '--no-config', '-i'],
    load: 'function fish_prompt; end; source ./script',
  },
};

/**
 * A shell in a directory where `scow` is ours, except that it prints what it is called with
 * unless a script of completion calls it.
 */
async function shellWith(engine: Engine, name: string): Promise<Terminal> {
  const home = testDirectory();
  const bin = join(home, 'bin');
  mkdirSync(bin);
  const words = [...commandOf(engine)].map((word) => `'${word}'`).join(' ');
  const script = `#!/bin/sh
if [ "$1" = __complete ]; then
  shell=$2
  shift 2
  exec ${words} __complete "$shell" --root '${rootOf('scow')}' "$@"
fi
printf '<%s>' "$@" | sed 's/.*/called with &.\\n/'
`;
  writeFileSync(join(bin, 'scow'), script);
  chmodSync(join(bin, 'scow'), 0o755);
  const { status, stdout, stderr } = scow(['completion', name], { engine });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  writeFileSync(join(home, 'script'), stdout);
  const terminal = new Terminal({ rows: 24, columns: 200 });
  terminals.push(terminal);
  const { command, load } = SHELLS[name] ?? { command: [], load: '' };
  const env = { HOME: home, TERM: 'dumb', PATH: `${bin}:${process.env.PATH}` };
  terminal.run(command, { cwd: home, env });
  terminal.type(`${load}; echo ready to "go"\r`);
  await terminal.sees(/ready to go/);
  return terminal;
}

/** What a line becomes, in which each tabulator completes a word. */
async function typed(terminal: Terminal, line: string): Promise<string> {
  terminal.type(`${line}\r`);
  const [, found = ''] = await terminal.sees(/called with ([^\r\n]*)\./);
  // zsh takes the slash back that it put behind a directory.
  return found.replaceAll('/>', '>');
}

describe.each(Object.keys(SHELLS))('in %s', (name) => {
  it('commands, containers, flags, their values, files and directories are completed', async () => {
    const id = newId();
    const bundle = bundleOf(running('sleep', '1000'));
    expect(scow(['create', '--bundle', bundle, id]).status).toBe(0);
    const terminal = await shellWith('bun', name);
    mkdirSync(join(testDirectory(), 'some-directory'));
    writeFileSync(join(testDirectory(), 'some-directory/a-file'), '');
    const cases = [
      ['sto\t', '<stop>'],
      ['sto\tscow-te\t', `<stop><${id}>`],
      ['kill scow-te\tWINC\t', `<kill><${id}><WINCH>`],
      ['list --form\tjs\t', '<list><--format><json>'],
      ['list --format=js\t', '<list><--format=json>'],
      ['--log-l\tdeb\tlis\t', '<--log-level><debug><list>'],
      ['create --bundle some\t', '<create><--bundle><some-directory>'],
      ['create --config some\ta\t', '<create><--config><some-directory/a-file>'],
      ['completion fi\t', '<completion><fish>'],
    ];
    for (const [line = '', expected] of cases)
      expect([line, await typed(terminal, `scow ${line}`)]).toEqual([line, expected]);
    terminal.type('exit\r');
  });
});

function offered(engine: Engine, ...words: string[]): string[] {
  const [command, ...first] = commandOf(engine);
  const args = [...first, '__complete', 'fish', ...words];
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  expect({ words, status, stderr }).toEqual({ words, status: 0, stderr: '' });
  return stdout.trimEnd().split('\n');
}

it.each(ENGINES)('all commands are offered, with what they are for, under %s', (engine) => {
  const commands = COMMANDS.map(({ name, about }) => `${name}\t${about}`);
  expect(offered(engine, '')).toEqual(['words', ...commands]);
});

it('all flags are offered but the hidden ones', () => {
  const shown = (flags: readonly Flag[]) =>
    flags.filter(({ hidden }) => !hidden).map(({ name, about }) => `--${name}\t${about}`);
  expect(offered('bun', '-')).toEqual(['words', ...shown(GLOBAL_FLAGS)]);
  for (const { name, flags } of COMMANDS)
    expect(offered('bun', '--debug', name, '-')).toEqual([
      'words',
      ...shown([...flags, HELP_FLAG]),
    ]);
});

it.each([
  ['nonsense', ''],
  ['state', 'one', ''],
  ['create', ''],
  ['ps', 'one', '-'],
  ['--root', '/dev/null', 'state', ''],
  ['--root=/does/not/exist', 'state', ''],
  ['state', '--', '-'],
])('nothing is offered after %j', (...words) => {
  expect(offered('bun', ...words)).toEqual(['words']);
});

it('a shell that is not known is refused', () => {
  expect(scow(['completion', 'tcsh'], { engine: 'bun' })).toMatchObject({
    status: 1,
    stderr: 'scow: <shell> tcsh: give one of bash, zsh, fish (see scow completion --help)\n',
  });
});
