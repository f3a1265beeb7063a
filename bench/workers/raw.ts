// A hand-written client: undici, a loop, and the same input.
import { Pool } from 'undici';
import { collect, cpuUs } from '../support/process';
import { messagesOf, type Feed } from './entries';
import { serve } from './serve';

export const operations = {
  /** Posts every message of the feed as one body, `concurrent` at a time; microseconds of CPU without making the input. */
  async post(url: string, feed: Feed, concurrent: number): Promise<number> {
    const messages = [...messagesOf(feed)];
    const pool = new Pool(url, { connections: concurrent, pipelining: 1 });
    collect();
    const startedUs = cpuUs();
    let next = 0;
    const loop = async (): Promise<void> => {
      for (let entries = messages[next++]; entries !== undefined; entries = messages[next++]) {
        const { body } = await pool.request({
          method: 'POST',
          path: '/rt-segment',
          headers: { authorization: 'bench', 'content-type': 'application/json' },
          body: JSON.stringify({ rt_segment: entries }),
        });
        const reply = (await body.json()) as { response: { status: string } };
        if (reply.response.status !== 'OK') throw new Error(reply.response.status);
      }
    };
    await Promise.all(Array.from({ length: concurrent }, loop));
    const tookUs = cpuUs() - startedUs;
    await pool.close();
    return tookUs;
  },
};
serve(operations);
