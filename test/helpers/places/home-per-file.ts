import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory for all tests of the file that imports this. */
export let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'scow-test-'));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));
