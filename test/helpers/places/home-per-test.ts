import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory for each test of the file that imports this. */
export let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'scow-test-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));
