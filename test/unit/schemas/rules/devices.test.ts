import { refused } from './support.ts';

refused([
  [
    'two devices at one path',
    [['/linux/devices/1', { type: 'c', path: '/dev/fuse', major: 1, minor: 3 }]],
    '/linux/devices/1/path',
    '"/dev/fuse" once more',
    'each path once, or always for the same device',
  ],
  [
    'a device without a name',
    [['/linux/devices/0/path', '/dev/fuse/']],
    '/linux/devices/0/path',
    '"/dev/fuse/"',
    'an absolute path that ends with the name of the device',
  ],
  [
    'a device in the place of a directory',
    [['/linux/devices/0/path', '/dev/..']],
    '/linux/devices/0/path',
    '"/dev/.."',
    'an absolute path that ends with the name of the device',
  ],
  [
    'a mode of a device of another type',
    [['/linux/devices/0/fileMode', 0o60666]],
    '/linux/devices/0/fileMode',
    '25014',
    'an integer up to 4095 (07777; the file has it in decimal)',
  ],
]);
