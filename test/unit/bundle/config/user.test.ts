import { resolveUser } from '../../../../bundle/config/user.ts';

const PASSWD = `# a comment
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1::/:/bin/false
broken line
app:x:1000:1001::/home/app:/bin/sh
5:x:77:78:::
huge:x:4294967295:1:::
`;
const GROUP = `root:x:0:
bin:x:1:root,daemon
app:x:1001:app
extra:x:50:app, daemon
wheel:x:10:root,app
`;
const database = { passwd: () => PASSWD, group: () => GROUP };
const nobody = { passwd: () => undefined, group: () => undefined };

test.each([
  ['app', { uid: 1000, gid: 1001, additionalGids: [50, 10] }],
  ['daemon', { uid: 1, gid: 1, additionalGids: [50] }],
  ['app:', { uid: 1000, gid: 1001, additionalGids: [50, 10] }],
])('the user %s has the groups that the image gives', (user, expected) => {
  expect(resolveUser(user, database)).toEqual(expected);
});

test.each([
  ['1000', { uid: 1000, gid: 1001 }],
  ['1234', { uid: 1234, gid: 0 }],
  ['5', { uid: 5, gid: 0 }],
  ['1000:7', { uid: 1000, gid: 7 }],
  ['1000:extra', { uid: 1000, gid: 50 }],
  ['app:7', { uid: 1000, gid: 7 }],
  ['app:wheel', { uid: 1000, gid: 10 }],
  [':wheel', { uid: 0, gid: 10 }],
])('%s has a number or a group, so no supplementary groups', (user, expected) => {
  expect(resolveUser(user, database)).toEqual(expected);
});

test.each([[undefined], [''], [':']])('no user (%p) is root with its groups', (user) => {
  expect(resolveUser(user, database)).toEqual({ uid: 0, gid: 0, additionalGids: [1, 10] });
});

test('numbers need no user database', () => {
  expect(resolveUser('1000:1001', nobody)).toEqual({ uid: 1000, gid: 1001 });
  expect(resolveUser(undefined, nobody)).toEqual({ uid: 0, gid: 0 });
});

test.each([
  ['ghost', 'the image\'s User "ghost": the image\'s /etc/passwd has no user "ghost"'],
  ['app:ghost', 'the image\'s User "app:ghost": the image\'s /etc/group has no group "ghost"'],
  ['huge', 'the image\'s User "huge": the image\'s /etc/passwd has no user "huge"'],
  ['4294967295', 'the image\'s User "4294967295": 4294967295 is above 4294967294, the highest ID'],
  ['a:b:c', 'the image\'s User "a:b:c" has more than one colon'],
])('%s is refused', (user, message) => {
  expect(() => resolveUser(user, database)).toThrow(message);
});
