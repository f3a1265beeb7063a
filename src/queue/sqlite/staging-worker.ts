// Worker thread of a staging: carries out the posted calls in order, and ends when it is closed.

import { parentPort, workerData } from 'node:worker_threads';

import { plainError } from './plain-error';
import { Staging } from './staging';
import type { StagingData, StagingReply, StagingRequest } from './staging-thread';

function serve(port: NonNullable<typeof parentPort>, { files, key }: StagingData): void {
  const staging = new Staging(files, key);
  const reply = (message: StagingReply) => port.postMessage(message);
  port.on('message', (request: StagingRequest) => {
    try {
      if (request.method === 'close') {
        staging.close();
        port.close();
      } else if (request.method === 'stage') reply({ kind: 'done', value: staging.stage(request.rows) });
      else reply({ kind: 'done', value: staging[request.method]() });
    } catch (error) {
      reply({ kind: 'failed', ...plainError(error) });
    }
  });
}

if (parentPort !== null) serve(parentPort, workerData as StagingData);
