// Mocha reporter that prints one line for each suite, and writes totals and failures to a file after every test, so
// that the report of a run that hangs names the test.
const console = require('node:console');
const { writeFileSync } = require('node:fs');
const { performance } = require('node:perf_hooks');
const process = require('node:process');
const { format } = require('node:util');
const Mocha = require('mocha');

const {
  EVENT_SUITE_BEGIN,
  EVENT_SUITE_END,
  EVENT_TEST_BEGIN,
  EVENT_TEST_PASS,
  EVENT_TEST_FAIL,
  EVENT_TEST_PENDING,
  EVENT_RUN_END,
} = Mocha.Runner.constants;

class BriefReporter extends Mocha.reporters.Base {
  constructor(runner, options) {
    super(runner, options);
    const failures = [];
    let depth = 0;
    let suite = null;
    runner.on(EVENT_SUITE_BEGIN, () => {
      depth += 1;
      if (depth === 2) suite = { started: performance.now(), passed: 0, failed: 0, skipped: [] };
    });
    runner.on(EVENT_TEST_PASS, () => suite && (suite.passed += 1));
    runner.on(EVENT_TEST_PENDING, (test) => suite?.skipped.push(test.title));
    runner.on(EVENT_TEST_FAIL, (test, error) => {
      if (suite) suite.failed += 1;
      failures.push({ test, error });
    });
    runner.on(EVENT_SUITE_END, (ended) => {
      if (depth === 2 && suite) console.log(suiteLine(ended.title, suite));
      depth -= 1;
    });
    // `running` is the current test; null after the last one.
    const save = (running) => {
      const { passes, pending } = this.stats;
      const totals = { passed: passes, failed: failures.length, skipped: pending, report: report(failures) };
      writeFileSync(process.env.MOCHA_TOTALS, JSON.stringify({ ...totals, running }));
    };
    runner.on(EVENT_TEST_BEGIN, (test) => save(test.fullTitle()));
    runner.on(EVENT_RUN_END, () => save(null));
  }
}

function suiteLine(title, { started, passed, failed, skipped }) {
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const line = `  ${failed > 0 ? 'x' : 'ok'}  ${title} (${passed + failed} tests, ${seconds} s)`;
  return [line, ...skipped.map((skip) => `      skipped: ${skip}`)].join('\n');
}

/** Text of the failures, in the form of mocha's own reporters. */
function report(failures) {
  if (failures.length === 0) return '';
  const lines = [];
  const log = Mocha.reporters.Base.consoleLog;
  Mocha.reporters.Base.consoleLog = (...args) => lines.push(format(...args));
  try {
    Mocha.reporters.Base.list(failures.map(({ test, error }) => Object.assign(test, { err: error })));
  } finally {
    Mocha.reporters.Base.consoleLog = log;
  }
  return lines.join('\n');
}

module.exports = BriefReporter;
