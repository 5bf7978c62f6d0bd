import { byUser, expectSame, scenario } from './compare.ts';

describe('buildah', () => {
  const build = scenario('buildah.sh');
  test('by root', () => expectSame(build));
  test('by an ordinary user', () => expectSame(byUser(build)));
});
