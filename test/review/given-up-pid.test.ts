// A server that was restarted (or another host) gives a new backend the number of one that was given up.
import { strict as assert } from 'node:assert';
import { EventEmitter } from 'node:events';

import { addressOf } from '../../src/outbox/postgres-address';
import { HostChoice, Line, systemLineClock } from '../../src/outbox/postgres-line';
import type { MakeClient } from '../../src/outbox/postgres-module';

describe('a connection whose backend has the number of one that was given up', () => {
  it('does not take itself for that one', async () => {
    let made = 0;
    const pid = 57;
    const makeClient = () => {
      made += 1;
      return Object.assign(new EventEmitter(), {
        processID: pid,
        connect: () => Promise.resolve(),
        end: () => Promise.resolve(),
        query: (sql: string) => {
          if (sql === 'the call' && made === 1)
            return Promise.reject(Object.assign(new Error('no'), { severity: 'FATAL', code: '57P01' }));
          // What PostgreSQL says: the backend that asks is at work, and so waits for no client.
          if (sql.includes('pg_stat_activity') && !sql.includes('pg_backend_pid'))
            return Promise.resolve({ rows: [{ pid, ended: false, unconfirmed: false }] });
          return Promise.resolve({ rows: [] });
        },
      });
    };
    const address = addressOf('postgres://db.test/queue', null);
    const options = { address, hosts: new HostChoice(address.hosts), clock: systemLineClock };
    const line = new Line({ ...options, makeClient: makeClient as unknown as MakeClient });
    await assert.rejects(line.run('the call'));
    for (let n = 0; n < 3; n += 1) await line.run('the call');
    await line.close();
  });
});
