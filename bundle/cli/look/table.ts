import type { Command, Positional } from '../command.ts';
import { FORMAT } from '../format.ts';
import { PLATFORM, REGISTRY_FLAGS } from '../transfer/options.ts';

const PLACES =
  'a name in the store, or else of a registry; or oci:DIR[:TAG], docker://NAME and other places of copy';
const IMAGE: Positional = { name: 'image', about: PLACES };
const IN_IMAGE: Positional = { name: 'image', about: `IMAGE[:/PATH], where IMAGE is ${PLACES}` };

/** The commands that look into images, without unpacking them. */
export const LOOK: readonly Command[] = [
  {
    name: 'blame',
    about: 'show which layer created, changed or deleted each path, and what each layer wastes',
    positionals: [
      IMAGE,
      { name: 'path', about: 'only this path, with all that is below it', optional: true },
    ],
    flags: [
      { name: 'all', short: 'a', about: 'all paths, not only the layers and the largest waste' },
      PLATFORM,
      FORMAT,
      ...REGISTRY_FLAGS,
    ],
    examples: ['scow-bundle blame debian', 'scow-bundle blame debian /etc/passwd'],
    load: () => import('./blame.ts'),
  },
  {
    name: 'ls',
    about: 'list a directory of an image, without unpacking it',
    positionals: [
      IN_IMAGE,
      { name: 'path', about: 'what to list, if IMAGE does not say', optional: true },
    ],
    flags: [
      { name: 'long', short: 'l', about: 'with mode, owner, size and time' },
      { name: 'recursive', short: 'R', about: 'with all that is below it' },
      PLATFORM,
      FORMAT,
      ...REGISTRY_FLAGS,
    ],
    examples: ['scow-bundle ls alpine:/etc', 'scow-bundle ls -l docker://debian:12 /usr/bin'],
    load: () => import('./ls.ts'),
  },
  {
    name: 'cat',
    about: 'print a file of an image, read from the top layer down until it is found',
    positionals: [
      IN_IMAGE,
      { name: 'path', about: 'the file, if IMAGE does not say', optional: true },
    ],
    flags: [PLATFORM, ...REGISTRY_FLAGS],
    examples: [
      'scow-bundle cat alpine:/etc/os-release',
      'scow-bundle cat oci:layout:app /etc/passwd',
    ],
    load: () => import('./cat.ts'),
  },
  {
    name: 'why',
    about: 'show why two images are not the same: order, times, owners, compression, configuration',
    positionals: [
      { name: 'first', about: PLACES },
      { name: 'second', about: 'the other one' },
    ],
    flags: [
      {
        name: 'most',
        value: 'NUMBER',
        about: 'how many causes to show of each layer; 10 by default',
      },
      PLATFORM,
      FORMAT,
      ...REGISTRY_FLAGS,
    ],
    examples: ['scow-bundle why app:1 app:2', 'scow-bundle why oci:monday:app oci:tuesday:app'],
    load: () => import('./why.ts'),
  },
];
