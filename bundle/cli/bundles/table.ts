import type { Command, Flag } from '../command.ts';
import { MAX_SIZE } from '../max-size.ts';
import { PLATFORM, REGISTRY_FLAGS } from '../transfer/options.ts';
import { FROM_BUNDLES } from './image-commands.ts';
import { ROOT } from './root-flag.ts';

const BUNDLE = {
  name: 'bundle',
  about: 'the directory to make; it must not exist yet, or be empty',
};

/** How a bundle is made of an image. */
const MAKING: readonly Flag[] = [
  PLATFORM,
  {
    name: 'rootless',
    about:
      "make all files the caller's own, who is root in the container; the default for all but root",
  },
  {
    name: 'terminal',
    short: 't',
    about: 'have runtimes give the program a terminal (process.terminal)',
  },
  MAX_SIZE,
  { name: 'json', about: 'print what happens as JSON, an object a line' },
  { name: 'quiet', short: 'q', about: 'show no progress' },
];

const CREATE: Command = {
  name: 'create',
  about: "make a bundle that shares the image's files, unpacked once, and has its own changes",
  positionals: [
    {
      name: 'image',
      about: 'the name, digest or ID of an image of the store, or oci:LAYOUT[:TAG]',
    },
    BUNDLE,
  ],
  flags: [
    { name: 'copy', about: 'give the bundle files of its own, instead of a mount' },
    { name: 'read-only', about: 'have runtimes make the root filesystem read-only' },
    ...MAKING,
  ],
  examples: [
    'scow-bundle create debian:12 bundle && scow run --bundle bundle my-container',
    'scow-bundle create --copy oci:layout:1.0 bundle',
  ],
  load: () => import('./create.ts'),
};

const MOUNT: Command = {
  name: 'mount',
  about: 'mount the root filesystem of a bundle again, as after a restart, and print its path',
  positionals: [{ name: 'bundle', about: 'a directory that create has made' }],
  flags: [],
  examples: ['ls $(scow-bundle mount bundle)'],
  load: () => import('./mount.ts'),
};

const UNMOUNT: Command = {
  name: 'unmount',
  about: "take the mounts of bundles' root filesystems away; what was changed stays",
  positionals: [{ name: 'bundle', about: 'directories that create has made', many: true }],
  flags: [{ name: 'force', short: 'f', about: 'also while a container runs from it' }, ROOT],
  examples: ['scow-bundle unmount bundle'],
  load: () => import('./unmount.ts'),
};

const DELETE: Command = {
  name: 'delete',
  about: 'remove bundles with all that was changed in them; images and layers stay',
  positionals: [{ name: 'bundle', about: 'directories that scow-bundle has made', many: true }],
  flags: [
    { name: 'force', short: 'f', about: 'end the containers that run from them first' },
    { name: 'dry-run', about: 'only say what would be removed' },
    ROOT,
  ],
  examples: ['scow-bundle delete bundle other-bundle'],
  userNamespace: 'files',
  load: () => import('./delete.ts'),
};

const RUN: Command = {
  name: 'run',
  about: 'run a program in a container of an image, and clean all of it away',
  positionals: [
    {
      name: 'image',
      about:
        'the name, digest or ID of an image of the store, else the name of one that is pulled; or oci:LAYOUT[:TAG]',
    },
    {
      name: 'arg',
      about: "the program's arguments; the image has its own",
      optional: true,
      rest: true,
    },
  ],
  flags: [
    { name: 'terminal', short: 't', about: 'give the program a terminal' },
    {
      name: 'interactive',
      short: 'i',
      about: 'changes nothing: the program has our standard input in any case',
    },
    {
      name: 'env',
      short: 'e',
      value: 'NAME[=VALUE]',
      about: 'set an environment variable; without a value it is the one that we have',
      repeated: true,
    },
    {
      name: 'volume',
      short: 'v',
      value: 'SOURCE:DESTINATION[:OPTION,..]',
      about: 'mount a file or a directory of the host; options are ro, noexec, rslave and so on',
      repeated: true,
    },
    { name: 'workdir', short: 'w', value: 'DIR', about: 'where the program starts' },
    {
      name: 'user',
      short: 'u',
      value: 'USER[:GROUP]',
      about: 'who runs the program, by names of the image or by numbers',
    },
    {
      name: 'entrypoint',
      value: 'PROGRAM',
      about: "run this instead of the image's entry point and its arguments",
    },
    { name: 'read-only', about: 'let the program change no file but in volumes' },
    {
      name: 'network',
      value: 'none|host|PATH',
      about:
        "which network the program has: none, the host's, or that of a network namespace; none by default",
    },
    {
      name: 'hostname',
      value: 'NAME',
      about: "the host's name in the container; by default the container's",
    },
    { name: 'name', value: 'ID', about: 'how scow calls the container' },
    { name: 'rm', about: 'changes nothing: all is cleaned away unless --keep' },
    { name: 'keep', about: 'keep the bundle with all that was changed, and say where it is' },
    {
      name: 'publish',
      short: 'p',
      value: 'PORT',
      about: 'not supported: there is no network of our own to publish ports of',
      repeated: true,
    },
    PLATFORM,
    MAX_SIZE,
    ...REGISTRY_FLAGS,
    { name: 'quiet', short: 'q', about: 'show no progress' },
    ROOT,
  ],
  examples: [
    'scow-bundle run -it debian:12 bash',
    'scow-bundle run --network host -v ./site:/srv:ro -w /srv alpine httpd -f',
    'scow-bundle run --keep --name build oci:layout:1.0 make',
  ],
  userNamespace: 'run',
  load: () => import('./run.ts'),
};

/** The commands that make bundles and work on them. */
export const BUNDLES: readonly Command[] = [
  {
    name: 'unpack',
    about: 'make a bundle of an image: its root filesystem and config.json',
    positionals: [BUNDLE],
    flags: [
      {
        name: 'image',
        value: 'LAYOUT[:TAG]',
        about:
          'an OCI image layout, as a directory or a tar archive, and a tag in it; without a tag "latest", or the only image; also with oci: or oci-archive: before it, or docker-archive:FILE',
        required: true,
      },
      ...MAKING,
    ],
    examples: [
      'scow-bundle unpack --image layout:1.0 bundle',
      'scow-bundle unpack --image image.tar --platform linux/arm64 --terminal bundle',
    ],
    load: () => import('./unpack.ts'),
  },
  CREATE,
  MOUNT,
  UNMOUNT,
  DELETE,
  RUN,
  ...FROM_BUNDLES,
];
