import { expectSame } from './compare.ts';

const folder = 'test/vm/engines';
const before = [`${folder}/as-user.sh`];
const scenario = (name: string) => ({ script: `${folder}/${name}` });

// What does not hang on how cgroups are made is tried without systemd, which boots faster.
describe.each([
  ['podman: processes and files', 'podman-run.sh'],
  ['podman: the life of containers', 'podman-life.sh'],
])('%s', (_, name) => {
  test('by root', () => expectSame(scenario(name)));
  test('by an ordinary user', () => expectSame({ ...scenario(name), before }));
});
