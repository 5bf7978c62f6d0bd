import { join } from 'node:path';
import { openStore, type Store } from '../../../bundle/store/store.ts';
import { home } from './home-per-test.ts';

/** A store for each test of the file that imports this, in a directory of its own. */
export let store: Store;
beforeEach(() => {
  store = openStore(join(home, 'store'));
});
