import { type ExecFileSyncOptions, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CACHE = join(tmpdir(), 'scow-test-cache');

/** What images leave out: downloads, and most translations. More than half of it all. */
const SLIM = 'rm -r var/lib/apt/lists/* var/cache/apt/* usr/share/locale/[a-ce-z]*';

/**
 * A minimal Debian of the release that this machine runs, from the mirror that its apt uses.
 * It is made once, and kept for later tests.
 *
 * @returns the path of a tar archive of its root filesystem
 * @throws Error when debootstrap fails: tests on real input must fail without it, not pass
 */
export function debianArchive(): string {
  const { suite, mirror } = configured();
  const path = join(CACHE, `debian-${suite}-slim.tar`);
  if (existsSync(path)) return path;
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, 'making-'));
  try {
    const tree = join(work, 'tree');
    const made = join(work, 'made.tar');
    const options: ExecFileSyncOptions = { stdio: 'pipe', maxBuffer: 2 ** 26 };
    execFileSync('debootstrap', ['--variant=minbase', suite, tree, mirror], options);
    execFileSync('bash', ['-c', SLIM], { ...options, cwd: tree });
    const tar = ['--format=pax', '--xattrs', '--xattrs-include=*', '--sort=name'];
    const times = '--pax-option=delete=atime,delete=ctime';
    execFileSync('tar', [...tar, times, '-C', tree, '-cf', made, '.'], options);
    // Another test may have been faster; either archive will do.
    renameSync(made, path);
  } catch (cause) {
    const { stdout, stderr } = cause as { stdout?: Buffer; stderr?: Buffer };
    throw new Error(`debootstrap from ${mirror} failed:\n${stdout ?? ''}${stderr ?? cause}`, {
      cause,
    });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return path;
}

/** The release of this machine, and where its apt gets it from. */
function configured(): { suite: string; mirror: string } {
  const suite = /^VERSION_CODENAME=(.*)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  if (suite === undefined) throw new Error('/etc/os-release has no VERSION_CODENAME');
  const targets = execFileSync(
    'apt-get',
    ['indextargets', '--format', '$(CODENAME) $(COMPONENT) $(REPO_URI)', 'Created-By: Packages'],
    { encoding: 'utf8' },
  );
  const found = targets.split('\n').find((line) => line.startsWith(`${suite} main `));
  if (found === undefined) throw new Error(`apt has no source for ${suite} main`);
  return { suite, mirror: found.split(' ')[2] as string };
}
