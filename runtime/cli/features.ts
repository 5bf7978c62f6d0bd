import { features } from '../container/features.ts';
import { print } from '../linux/output.ts';

export function run(): undefined {
  print(`${JSON.stringify(features(), null, 2)}\n`);
}
