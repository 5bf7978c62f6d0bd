import type { Command, Flag } from '../command.ts';

const BUNDLE = {
  name: 'bundle',
  about: 'the directory to make; it must not exist yet, or be empty',
};

/** How a bundle is made of an image. */
const MAKING: readonly Flag[] = [
  {
    name: 'platform',
    value: 'OS/ARCH[/VARIANT]',
    about: "which image to take where there are several; this machine's by default",
  },
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
  { name: 'json', about: 'print what happens as JSON, an object a line' },
  { name: 'quiet', short: 'q', about: 'show no progress' },
];

const ROOT: Flag = {
  name: 'root',
  value: 'DIR',
  about: "where to look for containers: the value of scow's --root",
};

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
    ROOT,
  ],
  examples: ['scow-bundle delete bundle other-bundle'],
  load: () => import('./delete.ts'),
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
          'an OCI image layout, as a directory or a tar archive, and a tag in it; without a tag "latest", or the only image',
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
];
