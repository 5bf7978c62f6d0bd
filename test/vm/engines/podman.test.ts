import { byUser, expectSame, scenario } from './compare.ts';

describe.each([
  ['processes and files', 'podman-run.sh'],
  ['the life of containers', 'podman-life.sh'],
])('podman: %s', (_, name) => {
  test('by root', () => expectSame(scenario(name)));
  test('by an ordinary user', () => expectSame(byUser(scenario(name))));
});
