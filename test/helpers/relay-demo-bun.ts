import { openBunPort } from '../../runtime/linux/ffi-bun.ts';
import { installPort } from '../../runtime/linux/port.ts';
import { relayDemo } from './relay-demo.ts';

installPort(openBunPort);
relayDemo(process.argv[2] ?? '');
