import { expectSame, scenario } from './compare.ts';

/** Docker knows why a program did not start by words of runc that crun 1.8.1 does not say; nor can that update. */
const crun = ['run, a program that is not there', 'update', 'update, read back'];

test('Docker', () => expectSame(scenario('docker.sh'), { crun }));
