import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processOf } from './container.ts';
import { type OrdinaryUser, scowAs } from './ordinary-user.ts';
import { bundleOf, type EditableConfig, type Engine, rootOf } from './scow.ts';

/** An ordinary user of this machine, with IDs for containers of their own. */
export class MappedUser implements OrdinaryUser {
  readonly name = `scow-test-${process.pid}`;
  uid = 0;
  gid = 0;
  /** The first of their subordinate IDs. */
  range = { uid: 0, gid: 0 };

  /** Makes the user, as useradd does. */
  add(): void {
    const { status } = spawnSync('useradd', ['--no-create-home', '--user-group', this.name]);
    expect(status).toBe(0);
    const id = (flag: string) =>
      Number(spawnSync('id', [flag, this.name], { encoding: 'utf8' }).stdout);
    this.uid = id('-u');
    this.gid = id('-g');
    this.range = { uid: this.#first('/etc/subuid'), gid: this.#first('/etc/subgid') };
  }

  remove(): void {
    spawnSync('userdel', [this.name]);
  }

  /**
   * Runs scow as the user, who sees the project even where it is in the home of another.
   *
   * @param outer the words of a command that is called with scow's as its arguments
   * @param before a shell command that root runs in the mount namespace of both
   */
  scow(
    engine: Engine,
    args: readonly string[],
    cwd: string,
    outer: readonly string[] = [],
    before = 'true',
  ): { status: number | null; stdout: string; stderr: string } {
    mkdirSync(rootOf('scow'), { recursive: true });
    spawnSync('chown', [`${this.uid}:${this.gid}`, rootOf('scow')]);
    return scowAs(this, ['--root', rootOf('scow'), ...args], { engine, cwd, outer, before });
  }

  /** A bundle of the user, with what `scow spec --rootless` writes. */
  bundle(engine: Engine, edit: (config: EditableConfig) => void): string {
    const bundle = bundleOf();
    spawnSync('chown', ['-hR', `${this.uid}:${this.gid}`, bundle]);
    spawnSync('rm', [join(bundle, 'config.json')]);
    expect(this.scow(engine, ['spec', '--rootless'], bundle)).toMatchObject({
      stderr: '',
      status: 0,
    });
    const config = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8')) as EditableConfig;
    processOf(config).terminal = false;
    edit(config);
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
    return bundle;
  }

  /** Maps the user's own IDs to root, and 1000 others to those that newuidmap allows. */
  readonly mapped = (config: EditableConfig): void => {
    const linux = config.linux ?? {};
    linux.uidMappings = [
      { containerID: 0, hostID: this.uid, size: 1 },
      { containerID: 1, hostID: this.range.uid, size: 1000 },
    ];
    linux.gidMappings = [
      { containerID: 0, hostID: this.gid, size: 1 },
      { containerID: 1, hostID: this.range.gid, size: 1000 },
    ];
  };

  #first(file: string): number {
    const line = readFileSync(file, 'utf8')
      .split('\n')
      .find((entry) => entry.startsWith(`${this.name}:`));
    return Number(line?.split(':')[1]);
  }
}
