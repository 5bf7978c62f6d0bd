import base from '../../jest.config.js';

/** The tests of this folder need a machine with all of cgroup v2: see run.sh. */
export default {
  ...base,
  rootDir: '../..',
  testMatch: ['<rootDir>/test/vm/**/*.test.ts'],
  testPathIgnorePatterns: [
    '/node_modules/',
    '/test/vm/engines/',
    ...(process.env.SCOW_VM === 'systemd' ? [] : ['/test/vm/systemd/']),
  ],
  // An emulated machine is 5 to 20 times slower.
  testTimeout: 300_000,
};
