import base from '../jest.config.js';

/** Engines are started and waited for: minutes each. See ../run.sh. */
export default {
  ...base,
  rootDir: '../../..',
  testMatch: ['<rootDir>/test/vm/engines/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
  testTimeout: 1_800_000,
};
