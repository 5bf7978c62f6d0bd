import { join } from 'node:path';
import { openNodePort } from '../../runtime/linux/ffi-node.ts';
import { installPort } from '../../runtime/linux/port.ts';

installPort(() => openNodePort(join(process.cwd(), 'dist/runtime/linux/port.js')));
