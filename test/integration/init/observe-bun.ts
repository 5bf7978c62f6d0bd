import { openBunPort } from '../../../runtime/linux/ffi-bun.ts';
import { installPort } from '../../../runtime/linux/port.ts';
import { OBSERVATIONS } from './observe.ts';

installPort(openBunPort);

// One observation under Bun: its name and its arguments as JSON.
const [name = '', ...args] = process.argv.slice(2);
const observe = OBSERVATIONS[name as keyof typeof OBSERVATIONS] as (...args: unknown[]) => unknown;
console.log(JSON.stringify(observe(...args.map((text) => JSON.parse(text) as unknown))));
