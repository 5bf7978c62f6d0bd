/**
 * What test/run.sh asks of jest's JSON reports:
 *   node test/results.mjs failed REPORT            the files in which a test failed, a line each
 *   node test/results.mjs count REPORT [RETRIED]   numbers of tests: passed failed skipped
 * A file in RETRIED, the report of a second try, counts as it went there.
 */
import { existsSync, readFileSync } from 'node:fs';

function filesOf(report) {
  return new Map(
    JSON.parse(readFileSync(report, 'utf8')).testResults.map((file) => [file.name, file]),
  );
}

/** A file that could not even be read has no tests, and counts as one that failed. */
function count(files) {
  const numbers = { passed: 0, failed: 0, skipped: 0 };
  for (const { status, assertionResults } of files) {
    if (status === 'failed' && assertionResults.length === 0) numbers.failed += 1;
    for (const test of assertionResults) {
      const kind = test.status === 'passed' || test.status === 'failed' ? test.status : 'skipped';
      numbers[kind] += 1;
    }
  }
  return `${numbers.passed} ${numbers.failed} ${numbers.skipped}`;
}

const [what, report, retried] = process.argv.slice(2);
const files = filesOf(report);
if (what === 'failed') {
  for (const { name, status } of files.values()) if (status === 'failed') console.log(name);
} else {
  const second = retried !== undefined && existsSync(retried) ? filesOf(retried) : new Map();
  console.log(count(new Map([...files, ...second]).values()));
}
