import type { Command, Flag } from '../command.ts';
import { FORMAT } from '../format.ts';
import { PACKING, REMARKS } from '../make-options.ts';
import { MAX_BLOBS, MAX_SIZE } from '../max-size.ts';
import { OUTPUT } from '../output-flag.ts';
import { PLATFORM, PLATFORM_FLAGS, PROGRESS_FLAGS, REGISTRY_FLAGS } from './options.ts';

/** How the work on an archive is shown. */
const SHOWN: readonly Flag[] = [
  { name: 'json', about: 'print what happens as JSON, an object a line' },
  { name: 'quiet', short: 'q', about: 'show no progress' },
];

const OCI: Flag = {
  name: 'format',
  value: 'oci',
  about:
    "convert Docker's formats to OCI's, which gives the image another digest; else all stays as it is",
};

const PLACES =
  'oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME], docker://NAME for a registry, or a name';

/** The commands that bring images from one place to another. */
export const TRANSFER: readonly Command[] = [
  {
    name: 'pull',
    about: 'fetch an image of a registry into the store',
    positionals: [{ name: 'image', about: 'its name, such as alpine or ghcr.io/x/y:1.2' }],
    flags: [...PLATFORM_FLAGS, MAX_BLOBS, ...REGISTRY_FLAGS, ...PROGRESS_FLAGS],
    examples: ['scow-bundle pull debian:12', 'scow-bundle pull --insecure localhost:5000/app:1'],
    load: () => import('./pull.ts'),
  },
  {
    name: 'push',
    about: 'send an image of the store to a registry',
    positionals: [
      { name: 'image', about: 'its name, digest or ID in the store' },
      { name: 'destination', about: 'its name there, if that is another one', optional: true },
    ],
    flags: [...PLATFORM_FLAGS, OCI, ...REGISTRY_FLAGS, ...PROGRESS_FLAGS],
    examples: ['scow-bundle push ghcr.io/x/y:1.2', 'scow-bundle push app quay.io/x/app:1'],
    load: () => import('./push.ts'),
  },
  {
    name: 'copy',
    about: 'copy an image between registries, layouts, archives and the store',
    positionals: [
      { name: 'source', about: `where it is: ${PLACES}, in the store or else of a registry` },
      {
        name: 'destination',
        about: `where it goes: ${PLACES}, of a registry if it says one, else in the store`,
      },
    ],
    flags: [
      ...PLATFORM_FLAGS,
      OCI,
      {
        name: 'referrers',
        about:
          'copy what refers to the image, too: signatures, lists of its software, proofs; between registries and layouts',
      },
      MAX_BLOBS,
      ...REGISTRY_FLAGS,
      ...PROGRESS_FLAGS,
    ],
    examples: [
      'scow-bundle copy docker://alpine oci:layout:alpine',
      'scow-bundle copy --all oci:layout:app docker://registry.example.com/app:1',
      'scow-bundle copy debian:12 docker-archive:debian.tar:debian:12',
    ],
    load: () => import('./copy.ts'),
  },
  {
    name: 'verify',
    about:
      'verify an image: documents, every size, digest and diffID, and that layers can be unpacked',
    positionals: [
      { name: 'image', about: `where it is: ${PLACES}, in the store or else of a registry` },
    ],
    flags: [
      { ...PLATFORM, about: 'only the images for this platform; all by default' },
      FORMAT,
      MAX_SIZE,
      ...REGISTRY_FLAGS,
    ],
    examples: ['scow-bundle verify alpine', 'scow-bundle verify --format json oci:layout:app'],
    load: () => import('./verify.ts'),
  },
  {
    name: 'tags',
    about: 'list the tags of a repository of a registry',
    positionals: [{ name: 'repository', about: 'its name, such as alpine or ghcr.io/x/y' }],
    flags: [FORMAT, ...REGISTRY_FLAGS],
    examples: ['scow-bundle tags alpine'],
    load: () => import('./tags.ts'),
  },
  {
    name: 'referrers',
    about: 'list what a registry has for an image: signatures, lists of its software, proofs',
    positionals: [{ name: 'image', about: 'its name' }],
    flags: [FORMAT, ...REGISTRY_FLAGS],
    examples: ['scow-bundle referrers ghcr.io/x/y:1.2'],
    load: () => import('./referrers.ts'),
  },
  {
    name: 'login',
    about: 'check credentials with a registry, and keep them for later commands',
    positionals: [{ name: 'registry', about: 'HOST[:PORT]; docker.io is Docker Hub' }],
    flags: [
      { name: 'username', short: 'u', value: 'NAME', about: 'the user; asked for by default' },
      { name: 'password-stdin', about: 'read the password from standard input' },
      ...REGISTRY_FLAGS,
    ],
    examples: [
      'scow-bundle login ghcr.io',
      'echo "$TOKEN" | scow-bundle login ghcr.io --username me --password-stdin',
    ],
    load: () => import('./login.ts'),
  },
  {
    name: 'logout',
    about: 'forget the credentials for a registry',
    positionals: [{ name: 'registry', about: 'HOST[:PORT]; docker.io is Docker Hub' }],
    flags: [],
    examples: ['scow-bundle logout ghcr.io'],
    load: () => import('./logout.ts'),
  },
  {
    name: 'import',
    about: 'make an image of one layer of a tar archive',
    positionals: [
      { name: 'file', about: 'the archive, which may be compressed; - is standard input' },
      { name: 'image', about: "the new image's name in the store, or a place such as oci:DIR:TAG" },
    ],
    flags: [
      {
        name: 'platform',
        value: 'OS/ARCH[/VARIANT]',
        about: 'what the image is for; this machine by default',
      },
      ...REMARKS,
      ...PACKING,
      MAX_SIZE,
    ],
    examples: [
      'scow-bundle import rootfs.tar.gz app:1',
      'debootstrap --variant=minbase bookworm d && tar -C d -c . | scow-bundle import - debian',
    ],
    load: () => import('./import.ts'),
  },
  {
    name: 'save',
    about: 'write images of the store into one archive',
    positionals: [{ name: 'image', about: 'names, digests or IDs', many: true }],
    flags: [
      OUTPUT,
      {
        name: 'format',
        value: 'docker|oci',
        about:
          '"docker", by default, is an OCI image layout that Docker and podman load, also old ones; "oci" is the layout alone',
      },
      ...PLATFORM_FLAGS,
      ...SHOWN,
    ],
    examples: [
      'scow-bundle save -o images.tar app:1 app:2',
      'scow-bundle save debian:12 | ssh host docker load',
    ],
    load: () => import('./save.ts'),
  },
  {
    name: 'load',
    about: 'put the images of an archive into the store',
    positionals: [],
    flags: [
      {
        name: 'input',
        short: 'i',
        value: 'FILE',
        about:
          'an archive of docker save, podman save or an OCI image layout, which may be compressed; or a directory with a layout; standard input by default',
      },
      MAX_SIZE,
      ...PLATFORM_FLAGS,
      ...SHOWN,
    ],
    examples: ['scow-bundle load -i images.tar', 'docker save app | scow-bundle load'],
    load: () => import('./load.ts'),
  },
];
