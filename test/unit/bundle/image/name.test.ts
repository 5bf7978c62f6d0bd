import { familiarName, formatName, parseName } from '../../../../bundle/image/name.ts';

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

describe('names of images, as people type them', () => {
  test.each([
    ['alpine', 'docker.io/library/alpine:latest', 'alpine:latest'],
    ['alpine:3.20', 'docker.io/library/alpine:3.20', 'alpine:3.20'],
    [`alpine@${DIGEST}`, `docker.io/library/alpine@${DIGEST}`, `alpine@${DIGEST}`],
    ['docker.io/alpine', 'docker.io/library/alpine:latest', 'alpine:latest'],
    ['index.docker.io/user/tool', 'docker.io/user/tool:latest', 'user/tool:latest'],
    ['user/tool:v1', 'docker.io/user/tool:v1', 'user/tool:v1'],
    [`ghcr.io/x/y:1.2@${DIGEST}`, `ghcr.io/x/y:1.2@${DIGEST}`, `ghcr.io/x/y:1.2@${DIGEST}`],
    ['localhost/a', 'localhost/a:latest', 'localhost/a:latest'],
    ['localhost:5000/a', 'localhost:5000/a:latest', 'localhost:5000/a:latest'],
    ['[::1]:5000/a/b:c', '[::1]:5000/a/b:c', '[::1]:5000/a/b:c'],
    ['Registry/a', 'Registry/a:latest', 'Registry/a:latest'],
    ['a.b/c__d/e-----f.g', 'a.b/c__d/e-----f.g:latest', 'a.b/c__d/e-----f.g:latest'],
    ['library/user/x', 'docker.io/library/user/x:latest', 'library/user/x:latest'],
    ['alpine:5000', 'docker.io/library/alpine:5000', 'alpine:5000'],
  ])('%s', (typed, whole, familiar) => {
    const name = parseName(typed);
    expect(formatName(name)).toBe(whole);
    expect(familiarName(name)).toBe(familiar);
    expect(parseName(whole)).toEqual(name);
    expect(parseName(familiar)).toEqual(name);
  });

  test('the parts', () => {
    expect(parseName(`localhost:5000/a/b:c@${DIGEST}`)).toEqual({
      registry: 'localhost:5000',
      repository: 'a/b',
      tag: 'c',
      digest: DIGEST,
    });
    expect(parseName('alpine')).toEqual({
      registry: 'docker.io',
      repository: 'library/alpine',
      tag: 'latest',
    });
  });

  test.each([
    ['', 'it is empty'],
    ['a b', 'it has a blank in it'],
    ['https://ghcr.io/x/y', 'it is written without http:// or https://'],
    ['Alpine', '"Alpine" has capital letters: repositories are written in lower case'],
    ['ghcr.io/x/Y', '"Y" has capital letters: repositories are written in lower case'],
    ['alpine:', 'the tag after the colon is empty'],
    ['alpine:-x', 'the tag "-x" is not 1 to 128 letters'],
    [`alpine:${'x'.repeat(129)}`, 'is not 1 to 128 letters'],
    ['alpine@latest', 'after "@" comes a digest such as sha256:…, not "latest"'],
    ['alpine@sha256:12', 'sha256 takes 64 lower-case hexadecimal digits'],
    ['alpine@md5:d41d8cd98f00b204e9800998ecf8427e', 'only sha256 and sha512 can be verified'],
    ['/alpine', 'a part of its path is empty'],
    ['ghcr.io//x', 'a part of its path is empty'],
    ['ghcr.io/', 'a part of its path is empty'],
    ['a..b', '"a..b" is not made of a-z and 0-9'],
    ['../../etc/passwd', 'the registry ".." is not HOST or HOST:PORT'],
    ['x_y.z/a', 'the registry "x_y.z" is not HOST or HOST:PORT'],
    ['localhost:99999/a', 'there is no port 99999'],
    ['localhost:x/a', 'the registry "localhost:x" is not HOST or HOST:PORT'],
    ['0123456789abcdef'.repeat(4), 'are an image ID: write sha256: before it'],
    [`a.b/${'x'.repeat(252)}`, 'more than 255 characters together'],
  ])('%s is refused', (typed, why) => {
    expect(() => parseName(typed)).toThrow(why);
    expect(() => parseName(typed)).toThrow(/^[^\n]* is not an image name: [^\n]*$/);
  });
});
