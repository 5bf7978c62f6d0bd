import type { Command, Flag } from '../command.ts';
import { FORMAT } from '../format.ts';
import { PLATFORM, PLATFORM_FLAGS, PROGRESS_FLAGS, REGISTRY_FLAGS } from './options.ts';

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
    flags: [...PLATFORM_FLAGS, ...REGISTRY_FLAGS, ...PROGRESS_FLAGS],
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
      { name: 'source', about: `${PLACES}, in the store or else of a registry` },
      { name: 'destination', about: `${PLACES}: of a registry if it has one, else in the store` },
    ],
    flags: [...PLATFORM_FLAGS, OCI, ...REGISTRY_FLAGS, ...PROGRESS_FLAGS],
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
    positionals: [{ name: 'image', about: `${PLACES}, in the store or else of a registry` }],
    flags: [
      { ...PLATFORM, about: 'only the images for this platform; all by default' },
      FORMAT,
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
];
