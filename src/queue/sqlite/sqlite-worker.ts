// Worker thread of a log: opens it, carries out the posted calls in order, and ends when it is closed.

import { parentPort, workerData } from 'node:worker_threads';

import { carryOut } from './log-host';
import type { NewRow } from '../store';
import { packRead, unpackNew } from './packed-rows';
import { plainError } from './plain-error';
import { openLog, type SqliteLog } from './sqlite-log';
import { callOf, type ThreadData, type ThreadReply, type ThreadRequest } from './thread-host';

function serve(port: NonNullable<typeof parentPort>, { path, cipher }: ThreadData): void {
  const reply = (message: ThreadReply) => port.postMessage(message);
  let log: SqliteLog;
  try {
    log = openLog(path, cipher);
  } catch (error) {
    reply({ kind: 'refused', ...plainError(error) });
    return;
  }
  /** Of the commit that comes next. */
  const before: NewRow[] = [];
  port.on('message', (request: ThreadRequest) => {
    if (request.kind === 'close') {
      log.close();
      port.close();
      return;
    }
    if (request.kind === 'rows') {
      for (const row of unpackNew(request.append)) before.push(row);
      return;
    }
    const call = callOf(request, before.splice(0));
    try {
      if (call.method === 'read') reply({ kind: 'rows', rows: packRead(log.read(...call.args)) });
      else reply({ kind: 'done', value: carryOut(log, call) });
    } catch (error) {
      reply({ kind: 'failed', ...plainError(error) });
    }
  });
  reply({ kind: 'opened', commits: log.totals.commits });
}

if (parentPort !== null) serve(parentPort, workerData as ThreadData);
