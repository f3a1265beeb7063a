// “rejected to file and back”, fed by a button: what is wrong is in the file, and after a correction delivered.
import { strict as assert } from 'node:assert';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { cleanUps } from '../support/clean-up';
import { until } from '../support/node-red';
import { count, device, ExampleSite, nodeOf, readExample, report, settled } from './support';

const entries = 1_000;
const wrongEvery = 40;
const wrong = entries / wrongEvery;
const waitMs = 15_000;

describe('rejected to file and back', function () {
  this.timeout(60_000);
  const ends = cleanUps();
  const flow = readExample('rejected to file and back');
  let site: ExampleSite;

  before(async () => {
    site = await ExampleSite.start(flow);
    ends(() => site.close());
  });

  const file = (): string => path.join(site.userDir, 'rejected.jsonl');
  /** By user: messages end in the order of the replies, not in that of their arrival. */
  const rejectedLines = async (): Promise<string[]> => {
    const lines = (await readFile(file(), 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');
    const userOf = (line: string): string => /"user_id":"([^"]*)/.exec(line)?.[1] ?? '';
    return lines.toSorted((one, other) => userOf(one).localeCompare(userOf(other)));
  };

  it('stores rejected entries, a line each, and delivers them after a correction', async () => {
    const startedMs = performance.now();
    const all = Array.from({ length: entries }, (_, n) => entryOf(n));
    for (let from = 0; from < entries; from += 100)
      await site.press(nodeOf(flow, 'inject', 'try: two of three are wrong'), all.slice(from, from + 100));
    const line = (n: number): string => `10001 ${device(n)}`;
    const numbers = all.map((_, n) => n);
    await settled(() => site.sandboxState(), numbers.filter((n) => n % wrongEvery !== 0).map(line), waitMs);
    await until(async () => (await rejectedLines()).length === wrong, waitMs, `${wrong} lines in the file`);
    for (const [index, text] of (await rejectedLines()).entries()) {
      const { at, code, message, entry } = JSON.parse(text);
      assert.ok(Math.abs(Date.now() - Date.parse(at)) < 60_000);
      assert.equal(code, 'domain_unknown');
      assert.match(message, /idfaa/);
      assert.deepEqual(entry, entryOf(index * wrongEvery));
    }
    // All but the last are put right, as with an editor.
    const lines = await rejectedLines();
    const corrected = lines.map((text, index) =>
      index === wrong - 1 ? text : text.replace('"idfaa"', '"idfa"'),
    );
    await writeFile(file(), `${corrected.join('\n')}\n`);
    await site.press(nodeOf(flow, 'inject', 'replay'));
    const last = (wrong - 1) * wrongEvery;
    await settled(() => site.sandboxState(), numbers.filter((n) => n !== last).map(line), waitMs);
    await until(
      async () => (await rejectedLines()).length === 1,
      waitMs,
      'the one that is still wrong, in a new file',
    );
    const { entry } = JSON.parse((await rejectedLines())[0]!);
    assert.equal(entry.user_id, device(last));
    assert.equal(
      (await readdir(site.userDir)).filter((name) => /^rejected\.\d+\.jsonl$/.test(name)).length,
      1,
    );
    report(
      'rejected to file and back',
      'a button, and the corrected file',
      `${count(entries, 'entries')}, ${wrong} of them wrong`,
      `${count(entries - 1, 'memberships as expected')}, 1 still in the file`,
      startedMs,
    );
  });

  it('counts expirations of rejected entries from their event time', async () => {
    const user = device(77_777);
    const at = new Date(Date.now() - 10 * 60_000).toISOString();
    const entry = { user_id: user, domain: 'idfa', seg_block: [{ seg_id: 10_002, expiration: 60 }] };
    await writeFile(file(), JSON.stringify({ at, code: 'domain_unknown', message: '', entry }));
    await site.press(nodeOf(flow, 'inject', 'replay'));
    let expires = '';
    await until(
      async () => {
        const found = (await site.sandboxState()).find(({ user_id }) => user_id === user);
        expires = found?.expires ?? '';
        return found !== undefined;
      },
      waitMs,
      'the replayed membership',
    );
    const minutesLeft = (Date.parse(expires) - Date.now()) / 60_000;
    assert.ok(minutesLeft > 48 && minutesLeft < 51, `${minutesLeft} minutes left of 60, after 10`);
  });

  it('shows it by its button: two of three are wrong', async () => {
    await writeFile(file(), '');
    await site.press(nodeOf(flow, 'inject', 'try: two of three are wrong'));
    await until(async () => (await rejectedLines()).length === 2, waitMs, 'two lines in the file');
  });
});

function entryOf(n: number): unknown {
  const domain = n % wrongEvery === 0 ? 'idfaa' : 'idfa';
  return { user_id: device(n), domain, seg_block: [{ seg_id: 10_001, expiration: 1_440 }] };
}
