/** Hooks that run in a container meet what is in the image: it must not reach scow or the host. */
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleOf, cleanUp, commandOf, ENGINES, newId, running, scow } from '../../helpers/scow.ts';
import { fingerprint, makeCanary, picture } from './host.ts';

afterEach(cleanUp);

describe.each(ENGINES)('a startContainer hook (%s)', (engine) => {
  const programs = [
    ...commandOf(engine),
    process.execPath,
    join(process.cwd(), 'build/scow-engine'),
  ];

  test.each([
    ['a script of /proc/self/exe', '/bin/script'],
    ['a symlink to /proc/self/exe', '/bin/linked'],
    ['/proc/self/exe', '/proc/self/exe'],
    ['/proc/1/exe', '/proc/1/exe'],
  ])('that is %s runs nothing of scow', (_, path) => {
    const before = programs.map(fingerprint);
    const bundle = bundleOf((config) => {
      running('true')(config);
      config.root = { path: 'rootfs', readonly: false };
      config.hooks = { startContainer: [{ path, args: [path, '--version'] }] };
    });
    const rootfs = join(bundle, 'rootfs');
    writeFileSync(join(rootfs, 'bin/script'), '#!/proc/self/exe\n', { mode: 0o755 });
    symlinkSync('/proc/self/exe', join(rootfs, 'bin/linked'));
    const { stdout, stderr } = scow(['run', '-b', bundle, newId()], { engine });
    expect(`${stdout}${stderr}`).not.toContain('spec:');
    expect(stderr).toMatch(/^(scow: [^\n]+\n)?$/);
    expect(programs.map(fingerprint)).toEqual(before);
  });

  test('can neither overwrite a program that it finds in /proc nor leave the root', () => {
    const before = programs.map(fingerprint);
    const canary = makeCanary();
    const script = `
      for f in /proc/*/exe; do (echo overwritten > $f) 2>/dev/null && echo $f >&2; done
      for fd in /proc/self/fd/* /proc/1/fd/*; do
        case $(readlink $fd) in *canary*|*rootfs*) echo leaked $fd >&2; exit 1 ;; esac
      done
      ls /proc/1/cwd/../../..${canary} /proc/1/root${canary} && echo escaped >&2 && exit 1
      exit 0`;
    const bundle = bundleOf((config) => {
      running('true')(config);
      config.hooks = { startContainer: [{ path: '/bin/sh', args: ['sh', '-c', script] }] };
    });
    const host = picture(canary);
    expect(scow(['run', '-b', bundle, newId()], { engine })).toMatchObject({
      status: 0,
      stdout: '',
      stderr: '',
    });
    expect(programs.map(fingerprint)).toEqual(before);
    expect(picture(canary)).toEqual(host);
  });
});
