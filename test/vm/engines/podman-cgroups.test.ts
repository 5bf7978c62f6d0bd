import { byUser, expectSame, scenario, systemd } from './compare.ts';

describe('podman: namespaces', () => {
  const pods = scenario('podman-pods.sh');
  test('by root', () => expectSame(pods));
  test('by an ordinary user', () => expectSame(byUser(pods)));
});

describe('podman: limits', () => {
  const limits = scenario('podman-limits.sh');
  // It takes an option that runc does not have.
  const exceptions = { runc: ['--cgroups disabled'] };
  test('by root', () => expectSame(limits, exceptions));
  // Nobody else could give an ordinary user cgroups.
  if (systemd) test('by an ordinary user', () => expectSame(byUser(limits), exceptions));
});
