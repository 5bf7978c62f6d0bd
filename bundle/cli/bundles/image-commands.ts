import type { Command, Positional } from '../command.ts';
import { FORMAT } from '../format.ts';
import { PACKING, REMARKS } from '../make-options.ts';
import { OUTPUT } from '../output-flag.ts';
import { ROOT } from './root-flag.ts';

const BUNDLE: Positional = { name: 'bundle', about: 'a directory that scow-bundle has made' };

const DIFF: Command = {
  name: 'diff',
  about: 'list what changed in the files of a bundle since it was made: added, changed, deleted',
  positionals: [BUNDLE],
  flags: [FORMAT],
  examples: ['scow-bundle diff bundle', 'scow-bundle diff --format json bundle'],
  userNamespace: 'files',
  load: () => import('./diff.ts'),
};

const COMMIT: Command = {
  name: 'commit',
  about: 'make an image of a bundle: what changed in its files becomes one more layer',
  positionals: [
    BUNDLE,
    { name: 'image', about: "the new image's name in the store, or a place such as oci:DIR:TAG" },
  ],
  flags: [
    ...REMARKS,
    ...PACKING,
    {
      name: 'pause',
      short: 'p',
      about: 'let the containers that scow runs from the bundle stand still meanwhile',
    },
    ROOT,
    { name: 'quiet', short: 'q', about: "do not print the new image's ID" },
  ],
  examples: [
    'scow-bundle commit bundle app:2',
    'scow-bundle commit --change \'CMD ["/bin/app"]\' --change "ENV A=1" bundle oci:layout:2',
  ],
  userNamespace: 'files',
  load: () => import('./commit.ts'),
};

const EXPORT: Command = {
  name: 'export',
  about: "write all files of a bundle's root filesystem, or of an image, as one tar archive",
  positionals: [
    { name: 'bundle', about: "a bundle's directory, or the name of an image, or oci:DIR[:TAG]" },
  ],
  flags: [OUTPUT],
  examples: ['scow-bundle export -o rootfs.tar bundle', 'scow-bundle export alpine | tar -t'],
  userNamespace: 'files',
  load: () => import('./export.ts'),
};

const CP: Command = {
  name: 'cp',
  about: 'copy files between a bundle and the host; modes and times are kept',
  positionals: [
    {
      name: 'source',
      about:
        'BUNDLE:PATH, or a path of the host; with /. at its end only what is in the directory; - for a tar archive from standard input',
    },
    {
      name: 'destination',
      about:
        'likewise: a directory to copy into, or a new name; - for a tar archive to standard output',
    },
  ],
  flags: [
    {
      name: 'archive',
      short: 'a',
      about:
        'keep owners, setuid, extended attributes and devices as well; else all belongs to the caller',
    },
    {
      name: 'follow-link',
      short: 'L',
      about: 'follow a symbolic link that is the source, instead of copying it',
    },
  ],
  examples: [
    'scow-bundle cp bundle:/etc/hosts .',
    'scow-bundle cp ./site/. bundle:/srv',
    'scow-bundle cp bundle:/var/log - | tar -t',
  ],
  userNamespace: 'files',
  load: () => import('./cp.ts'),
};

/** The commands on the files of bundles, by which they become images and archives too. */
export const FROM_BUNDLES: readonly Command[] = [DIFF, COMMIT, EXPORT, CP];
