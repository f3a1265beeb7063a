// What the memory store does beyond what the model test compares.
import assert from 'node:assert/strict';

import { MemoryOutbox } from '../../src/outbox/memory-outbox';
import { codeOf, newRow, newRows, readAll, seqs } from './rows';

describe('the outbox in memory', () => {
  it('says that nothing in it survives the process', () => {
    assert.equal(new MemoryOutbox().durable, false);
  });

  it('gives the memory of a removed backlog back and keeps what came after it', async () => {
    const outbox = new MemoryOutbox();
    await outbox.open();
    await outbox.commit({ append: newRows(1, 50_000) });
    await outbox.commit({ append: newRows(50_001, 50_010), remove: seqs(1, 50_000) });
    assert.deepEqual(
      (await readAll(outbox)).map((row) => row.seq),
      seqs(50_001, 50_010),
    );
    assert.ok(outbox.slots <= 1024, `${outbox.slots} places`);
  });

  it('finds few removals among many adds', async () => {
    const outbox = new MemoryOutbox();
    await outbox.open();
    await outbox.commit({
      append: newRows(1, 20_000).map((row) => (row.seq % 5000 === 0 ? { ...row, lane: 'removal' } : row)),
    });
    const { rows } = await outbox.read('removal', 5000, 19_999, 10);
    assert.deepEqual(
      rows.map((row) => row.seq),
      [10_000, 15_000],
    );
  });

  it('changes nothing when a commit does not continue the log', async () => {
    const outbox = new MemoryOutbox();
    await outbox.open();
    await outbox.commit({ append: [newRow(5)] });
    assert.equal(
      await codeOf(() => outbox.commit({ append: [newRow(6), newRow(6)], remove: [5] })),
      'failed',
    );
    assert.deepEqual(
      (await readAll(outbox)).map((row) => row.seq),
      [5],
    );
  });

  it('refuses calls before it is opened and after it is closed', async () => {
    const outbox = new MemoryOutbox();
    assert.equal(await codeOf(() => outbox.commit({ append: [newRow(1)] })), 'closed');
    await outbox.open();
    await outbox.close();
    assert.equal(await codeOf(() => outbox.read('add', 0, 9, 9)), 'closed');
  });

  it('still holds its rows when it is opened again', async () => {
    const outbox = new MemoryOutbox();
    await outbox.open();
    await outbox.commit({ append: newRows(1, 3) });
    await outbox.close();
    assert.equal((await outbox.open()).waiting, 3);
  });
});
