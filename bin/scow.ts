#!/usr/bin/env node
import { main } from '../runtime/cli/main.ts';
import { openNodePort } from '../runtime/linux/ffi-node.ts';
import { installPort } from '../runtime/linux/port.ts';

installPort(() => openNodePort(import.meta.filename));
await main(process.argv.slice(2));
