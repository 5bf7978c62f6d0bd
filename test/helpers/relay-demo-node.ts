import './port.ts';
import { relayDemo } from './relay-demo.ts';

relayDemo(process.argv[2] ?? '');
