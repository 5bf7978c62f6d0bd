import { closeSync } from 'node:fs';
import { O, S } from '../../runtime/linux/constants.ts';
import { attributesOf, deviceNumber } from './applier.ts';
import type { Origin } from './gathered.ts';
import type { Rootfs } from './rootfs.ts';
import type { Spot } from './target.ts';
import type { DiskFile } from './write/disk-file.ts';

/**
 * Copies a file of another tree, with its attributes: anything but a directory.
 *
 * @param origin what it is copied for
 * @throws Error in one line when it cannot be read, or is nothing that an image has
 */
export function copyFile(file: DiskFile, into: Rootfs, spot: Spot, origin: Origin): void {
  const attributes = attributesOf(file, origin);
  switch (file.type) {
    case 'file':
      into.createFile(spot, attributes, file.size);
      copyInto(into, file);
      into.endFile();
      break;
    case 'symbolic link':
      into.createSymlink(spot, file.target(), attributes);
      break;
    case 'FIFO':
      into.createNode(spot, S.IFIFO, 0, attributes);
      break;
    case 'block device':
      into.createNode(spot, S.IFBLK, deviceNumber(file), attributes);
      break;
    case 'character device':
      into.createNode(spot, S.IFCHR, deviceNumber(file), attributes);
      break;
    default:
      throw new Error(`a ${file.type} can't be copied`);
  }
}

function copyInto(into: Rootfs, file: DiskFile): void {
  const fd = file.access.open(file.path, O.RDONLY | O.NONBLOCK | O.NOFOLLOW);
  try {
    into.copyContent(fd);
  } finally {
    closeSync(fd);
  }
}
