import type { Command, Flag, Positional } from '../command.ts';
import { FORMAT, JSON_FORMAT } from '../format.ts';
import { PLATFORM, REGISTRY_FLAGS } from '../transfer/options.ts';
import { CONFIG_FLAGS } from './config-flags.ts';

const TRUNC: Flag = {
  name: 'trunc',
  about: 'shorten digests and long texts (--no-trunc does not); on by default',
};
const IMAGE: Positional = {
  name: 'image',
  about:
    'its name, digest or ID in the store, or else of a registry; or oci:DIR[:TAG] and other places of copy',
};
const DRY_RUN: Flag = { name: 'dry-run', about: 'only say what would be removed' };

const REMOVE: Command = {
  name: 'remove',
  about: 'take names away from images; an image goes with its last name',
  positionals: [
    {
      name: 'image',
      about: 'names, or digests or IDs, which mean all names of an image',
      many: true,
    },
  ],
  flags: [
    {
      name: 'force',
      short: 'f',
      about:
        'also take the last name of an image in use, whose content stays; and all names of an image named by its ID',
    },
    DRY_RUN,
    FORMAT,
  ],
  examples: ['scow-bundle remove alpine:3.20', 'scow-bundle remove --dry-run debian alpine'],
  userNamespace: 'files',
  load: () => import('./remove.ts'),
};

/** The commands that work on the images of the store. */
export const IMAGES: readonly Command[] = [
  {
    name: 'images',
    about: 'list the images of the store',
    positionals: [
      { name: 'name', about: 'only those of this repository, or with this name', optional: true },
    ],
    flags: [
      { name: 'all', short: 'a', about: 'a line for each platform of an image' },
      { name: 'digests', about: 'show the digest that each name leads to' },
      { name: 'quiet', short: 'q', about: 'print IDs only' },
      TRUNC,
      FORMAT,
    ],
    examples: ['scow-bundle images', 'scow-bundle images --all --digests debian'],
    load: () => import('./images.ts'),
  },
  {
    name: 'inspect',
    about:
      'print all that is known of an image or a bundle as JSON: manifest, configuration, what the store has of it',
    positionals: [{ name: 'image', about: `${IMAGE.about}; or the directory of a bundle` }],
    flags: [
      {
        name: 'raw',
        about: 'print what the name leads to instead, byte for byte: a manifest or an index',
      },
      { name: 'config', about: "print the image's configuration instead, byte for byte" },
      JSON_FORMAT,
      PLATFORM,
      ...REGISTRY_FLAGS,
    ],
    examples: [
      'scow-bundle inspect alpine',
      'scow-bundle inspect --config --platform linux/arm64 alpine',
    ],
    load: () => import('./inspect.ts'),
  },
  {
    name: 'history',
    about: 'show the steps by which an image was made, with their layers, the newest first',
    positionals: [IMAGE],
    flags: [
      { name: 'human', short: 'H', about: 'ages and sizes for people; on by default' },
      PLATFORM,
      { name: 'quiet', short: 'q', about: "print the layers' digests only" },
      TRUNC,
      FORMAT,
      ...REGISTRY_FLAGS,
    ],
    examples: ['scow-bundle history alpine', 'scow-bundle history --no-trunc --no-human alpine'],
    load: () => import('./history.ts'),
  },
  {
    name: 'tag',
    about: 'give an image one more name, or several',
    positionals: [
      { name: 'image', about: 'its name, digest or ID' },
      {
        name: 'name',
        about: 'new names; without a registry they begin with localhost/',
        many: true,
      },
    ],
    flags: [{ name: 'quiet', short: 'q', about: 'do not print the whole name' }],
    examples: ['scow-bundle tag alpine my-base', 'scow-bundle tag 3f2a1b ghcr.io/me/app:1.0'],
    load: () => import('./tag.ts'),
  },
  REMOVE,
  { ...REMOVE, name: 'rmi', about: 'the same as remove' },
  {
    name: 'prune',
    about: 'remove what nobody uses: images without a name, blobs and unpacked layers of no image',
    positionals: [],
    flags: [
      { name: 'all', short: 'a', about: 'also images with names that no bundle uses' },
      DRY_RUN,
      FORMAT,
    ],
    examples: ['scow-bundle prune', 'scow-bundle prune --all --dry-run'],
    userNamespace: 'files',
    load: () => import('./prune.ts'),
  },
  {
    name: 'store',
    about: 'check the store: every blob against its digest, every image against what it lists',
    positionals: [{ name: 'action', about: 'what to do: check' }],
    flags: [
      {
        name: 'layers',
        about:
          'also compare unpacked layers with what their blobs unpack to; takes the time and the space to unpack each image',
      },
      {
        name: 'repair',
        about:
          'remove what is damaged, so that the next pull brings it again, and names of images that lack something',
      },
      { name: 'dry-run', about: 'only say what --repair would do' },
      FORMAT,
    ],
    examples: [
      'scow-bundle store check --layers',
      'scow-bundle store check --repair --format json',
    ],
    userNamespace: 'files',
    load: () => import('./store.ts'),
  },
  {
    name: 'config',
    about: "edit an image's configuration; with --origin tell where that of a bundle comes from",
    positionals: [{ name: 'image', about: 'its name in the store; with --origin a bundle' }],
    flags: CONFIG_FLAGS,
    examples: [
      'scow-bundle config --cmd /bin/app --cmd=--verbose --env A=1 app',
      "scow-bundle config --change 'CMD /bin/app' --clear env --tag app:2 app:1",
      'scow-bundle config --origin bundle',
    ],
    load: () => import('./config.ts'),
  },
];
