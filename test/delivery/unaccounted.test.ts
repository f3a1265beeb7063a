// Unaccounted users: an OK that does not count everything is reported to messages, log and operator; an OK that
// counts no user is no delivery.
import { strict as assert } from 'node:assert';
import type { Block, SentEntry } from './support/fake-service';
import { device, World, type Message } from './support/world';

const block: Block = { seg_id: 1 };
const isBad = ({ seg_block: blocks }: SentEntry): boolean => blocks.some(({ seg_id: id }) => id === 999);
const segmentsOf = (entries: readonly SentEntry[]): number =>
  entries.reduce((sum, { seg_block: blocks }) => sum + blocks.length, 0);

function warningsOf({ end }: Message): readonly string[] {
  return end?.kind === 'settled' ? end.summary.warnings : [];
}

function codesOf({ end }: Message): string[] {
  return end?.kind === 'settled' ? end.rejections.map(({ index, code }) => `${index} ${code}`) : ['no end'];
}

describe('a reply that counts less than was sent', () => {
  it('is reported to its messages, which are accepted, and is summed up', async () => {
    const world = new World({
      seed: 1,
      counts: (entries) => ({ users: entries.length - 1, segments: segmentsOf(entries) - 2 }),
    });
    const message = world.submit([
      { user: device(1), blocks: [block, { seg_id: 2 }] },
      { user: device(2), blocks: [block] },
    ]);
    await world.rest(10_000);
    assert.equal(message.end?.kind === 'settled' && message.end.summary.accepted, 2);
    assert.deepEqual(warningsOf(message), [
      'The service replied OK, but did not count 1 of 2 users and 2 of 3 segments in this request, and gave no warning.',
    ]);
    assert.deepEqual(world.engine.monitor.unaccounted.counts, { users: 1, segments: 2 });
    assert.deepEqual(world.violations(), []);
  });

  it('is logged once a minute at most, with the sum since the last line', async () => {
    const world = new World({ seed: 2, delayMs: () => 10, counts: () => ({ users: 1, segments: 0 }) });
    // Entries of the first second would share a request.
    await world.clock.advance(1_100);
    for (let i = 0; i < 65; i += 1) {
      world.add(device(i), [block]);
      await world.clock.advance(1_000);
    }
    const lines = world.logged.filter((line) => line.includes('did not count'));
    const missed = lines.map((line) =>
      /^warn: .*did not count (\d+) users and (\d+) segments/.exec(line)?.slice(1, 3),
    );
    assert.deepEqual(missed[0], ['0', '1']);
    assert.equal(lines.length, 2);
    // The first reply arrived after a login, so the sixtieth after it is less than a minute later.
    assert.deepEqual(missed[1], ['0', '61']);
    assert.deepEqual(world.engine.monitor.unaccounted.counts, { users: 0, segments: 65 });
  });

  it('is not reported where the warnings explain it', async () => {
    const world = new World({
      seed: 3,
      warn: (entries) =>
        entries.filter(isBad).map(({ user_id: id }) => ({
          message: `No valid segments for user_id: ${id}.`,
          entity: { user_id: id },
        })),
      counts: (entries) => {
        const good = entries.filter((entry) => !isBad(entry));
        return { users: good.length, segments: segmentsOf(good) };
      },
    });
    const message = world.submit([
      { user: device(1), blocks: [block] },
      { user: device(2), blocks: [{ seg_id: 999 }] },
    ]);
    await world.rest(10_000);
    assert.deepEqual(codesOf(message), ['1 no_valid_segments']);
    assert.deepEqual(warningsOf(message), []);
    assert.deepEqual(world.engine.monitor.unaccounted.counts, { users: 0, segments: 0 });
  });
});

describe('an OK that counts no user and has no warning', () => {
  const nobodyWhenBad = (entries: readonly SentEntry[]): { users: number; segments: number } =>
    entries.some(isBad)
      ? { users: 0, segments: 0 }
      : { users: entries.length, segments: segmentsOf(entries) };

  it('is bisected like a refused body: the cause is rejected, everything else is delivered', async () => {
    const world = new World({
      seed: 4,
      counts: nobodyWhenBad,
    });
    const message = world.submit(
      Array.from({ length: 40 }, (_, i) => ({
        user: device(i),
        blocks: [i === 7 || i === 31 ? { seg_id: 999 } : block],
      })),
    );
    await world.rest(60_000);
    assert.deepEqual(codesOf(message), ['7 nothing_counted', '31 nothing_counted']);
    assert.equal(message.end?.kind === 'settled' && message.end.summary.accepted, 38);
    assert.equal(world.service.members.size, 38);
    assert.deepEqual(world.violations(), []);
  });

  it('rejects nothing while no user is ever counted', async () => {
    let sick = true;
    const world = new World({
      seed: 5,
      counts: (entries) =>
        sick ? { users: 0, segments: 0 } : { users: entries.length, segments: segmentsOf(entries) },
    });
    const messages = Array.from({ length: 20 }, (_, i) => world.add(device(i), [block]));
    await world.clock.advance(300_000);
    assert.ok(messages.every(({ end }) => end === null));
    assert.equal(world.engine.stats().state.kind, 'refusing');
    sick = false;
    await world.rest();
    assert.ok(messages.every((message) => codesOf(message).length === 0));
    assert.deepEqual(world.violations(), []);
  });
});
