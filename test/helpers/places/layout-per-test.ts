import { join } from 'node:path';
import { LayoutBuilder } from '../layout.ts';
import { home } from './home-per-test.ts';

/** An image layout for each test of the file that imports this, in a directory of its own. */
export let layout: LayoutBuilder;
beforeEach(() => {
  layout = new LayoutBuilder(join(home, 'layout'));
});
