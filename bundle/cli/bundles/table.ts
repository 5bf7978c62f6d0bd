import type { Command } from '../command.ts';

/** The commands that make bundles and work on them. */
export const BUNDLES: readonly Command[] = [
  {
    name: 'unpack',
    about: 'make a bundle of an image: its root filesystem and config.json',
    positionals: [
      { name: 'bundle', about: 'the directory to make; it must not exist yet, or be empty' },
    ],
    flags: [
      {
        name: 'image',
        value: 'LAYOUT[:TAG]',
        about:
          'an OCI image layout, as a directory or a tar archive, and a tag in it; without a tag "latest", or the only image',
        required: true,
      },
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
    ],
    examples: [
      'scow-bundle unpack --image layout:1.0 bundle',
      'scow-bundle unpack --image image.tar --platform linux/arm64 --terminal bundle',
    ],
    load: () => import('./unpack.ts'),
  },
];
