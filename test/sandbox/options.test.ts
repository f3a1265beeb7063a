// Invalid options of the sandbox: startSandbox rejects with a sentence.
import assert from 'node:assert/strict';
import { startSandbox } from '../../src/sandbox/sandbox';

describe('an option of the sandbox', () => {
  const wrong: [string, unknown][] = [
    ['port', 'abc'],
    ['port', '8080'],
    ['port', 70_000],
    ['port', 1.5],
    ['port', -1],
    ['port', NaN],
    ['member', '1'],
    ['authLimit', 'none'],
    ['seed', null],
    ['processingDelayMs', -1],
    ['warmUpMinutes', '20'],
    ['defaultExpirationMinutes', NaN],
    ['operationLimit', 'all'],
  ];
  for (const [name, value] of wrong) {
    it(`${name} cannot be ${JSON.stringify(value)} (${String(value)})`, async () => {
      const started = startSandbox({ [name]: value });
      started.then((sandbox) => sandbox.close()).catch(() => undefined);
      await assert.rejects(started, (error: Error) => error.message.startsWith(`${name} must be a`));
    });
  }

  it('may disable a limit', async () => {
    const sandbox = await startSandbox({ authLimit: Infinity, limits: { usersPerSecond: Infinity } });
    await sandbox.close();
  });
});
