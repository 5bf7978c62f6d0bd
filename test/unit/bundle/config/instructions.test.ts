import { applyInstructions } from '../../../../bundle/config/instructions.ts';

const apply = (config: object, ...instructions: string[]) =>
  applyInstructions(config, instructions, '--change');

test.each([
  ['CMD ["a", "b c"]', { Cmd: ['a', 'b c'] }],
  ['cmd echo "$HOME"', { Cmd: ['/bin/sh', '-c', 'echo "$HOME"'] }],
  ["CMD ['not json']", { Cmd: ['/bin/sh', '-c', "['not json']"] }],
  ['ENTRYPOINT ["/init"]', { Entrypoint: ['/init'], Cmd: null }],
  ['USER app:adm', { User: 'app:adm' }],
  ['STOPSIGNAL SIGQUIT', { StopSignal: 'SIGQUIT' }],
  ['WORKDIR sub/../x', { WorkingDir: '/srv/x' }],
  ['WORKDIR /a b', { WorkingDir: '/a b' }],
  ['VOLUME /a "/b c"', { Volumes: { '/a': {}, '/b c': {} } }],
  ['VOLUME ["/a","/b"]', { Volumes: { '/a': {}, '/b': {} } }],
  [
    'EXPOSE 80 53/UDP 8000-8002',
    {
      ExposedPorts: { '80/tcp': {}, '53/udp': {}, '8000/tcp': {}, '8001/tcp': {}, '8002/tcp': {} },
    },
  ],
  ['LABEL a=b "c d"="e\\"f" g=\'h $X\'', { Labels: { old: 'l', a: 'b', 'c d': 'e"f', g: 'h $X' } }],
  ['ENV PATH=/opt:$PATH NEW="a b"', { Env: ['PATH=/opt:/bin', 'X=1', 'NEW=a b'] }],
  ['ENV X a "b"  c', { Env: ['PATH=/bin', 'X=a b  c'] }],
  [`ENV A=\${X}\${Y:-no}\${X:+yes}\${Z} B=\\$X`, { Env: ['PATH=/bin', 'X=1', 'A=1noyes', 'B=$X'] }],
])('%s', (instruction, expected) => {
  const before = {
    Env: ['PATH=/bin', 'X=1'],
    WorkingDir: '/srv',
    Labels: { old: 'l' },
    Cmd: ['c'],
  };
  expect(apply(before, instruction)).toEqual({ ...before, ...expected });
});

test('instructions come in their order, and fields that nobody here knows stay', () => {
  const before = { Cmd: ['old'], Healthcheck: { Test: ['CMD', 'true'] } };
  expect(apply(before, 'CMD ["new"]', 'ENTRYPOINT ["/e"]', 'ENV A=1', `ENV B=\${A}2`)).toEqual({
    ...before,
    Entrypoint: ['/e'],
    Cmd: ['new'],
    Env: ['A=1', 'B=12'],
  });
});

test.each([
  ['RUN ls', 'want one of CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR'],
  ['toString', 'want one of CMD'],
  ['CMD', 'CMD needs a value'],
  ['ENV A', 'ENV needs NAME=VALUE'],
  ['LABEL a=b c', 'LABEL needs NAME=VALUE, and has "c"'],
  ['ENV A="b', 'ENV has a " without its end'],
  ['ENV A=${', `ENV has a variable that is not \${NAME}, \${NAME:-word} or`],
  ['EXPOSE 0', 'EXPOSE has "0": want PORT[-PORT][/PROTOCOL]'],
  ['EXPOSE 80/icmp', 'EXPOSE has "80/icmp"'],
  ['EXPOSE 90-80', 'EXPOSE has "90-80"'],
])('%j is refused', (instruction, message) => {
  expect(() => apply({}, instruction)).toThrow(
    `--change ${JSON.stringify(instruction)}: ${message}`,
  );
});
