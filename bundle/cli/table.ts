import { BUNDLES } from './bundles/table.ts';
import type { Command, Flag } from './command.ts';
import { IMAGES } from './images/table.ts';
import { LOOK } from './look/table.ts';
import { TRANSFER } from './transfer/table.ts';

/** All commands, in the order of the help. */
export const COMMANDS: readonly Command[] = [...BUNDLES, ...IMAGES, ...TRANSFER, ...LOOK];

/** Flags of every command; they may also come before it. */
export const GLOBAL_FLAGS: readonly Flag[] = [
  {
    name: 'store',
    value: 'DIR',
    about:
      'where images are kept; by default /var/lib/scow, or $XDG_DATA_HOME/scow for all but root',
  },
];
