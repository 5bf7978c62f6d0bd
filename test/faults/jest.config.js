import base from '../../jest.config.js';

/** The tests of this folder need a build of their own and patience: see run.sh. */
export default {
  ...base,
  rootDir: '../..',
  testMatch: ['<rootDir>/test/faults/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
};
