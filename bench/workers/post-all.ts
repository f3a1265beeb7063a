// The loop of the contenders without an engine: undici, some messages at a time.
import { Pool } from 'undici';
import { collect, cpuUs } from '../support/process';
import { messagesOf, type Feed, type PlainEntry } from './entries';

/** Posts a body, and reads the reply. */
export type PostBody = (body: string) => Promise<void>;

/** Sends every message of the feed with `through`, `concurrent` at a time; microseconds of CPU without making the input. */
export async function postAll(
  url: string,
  feed: Feed,
  concurrent: number,
  through: (message: readonly PlainEntry[], post: PostBody) => Promise<void>,
): Promise<number> {
  const messages = [...messagesOf(feed)];
  const pool = new Pool(url, { connections: concurrent, pipelining: 1 });
  const post: PostBody = async (text) => {
    const { body } = await pool.request({
      method: 'POST',
      path: '/rt-segment',
      headers: { authorization: 'bench', 'content-type': 'application/json' },
      body: text,
    });
    const reply = (await body.json()) as { response: { status: string } };
    if (reply.response.status !== 'OK') throw new Error(reply.response.status);
  };
  collect();
  const startedUs = cpuUs();
  let next = 0;
  const loop = async (): Promise<void> => {
    for (let message = messages[next++]; message !== undefined; message = messages[next++])
      await through(message, post);
  };
  await Promise.all(Array.from({ length: concurrent }, loop));
  const tookUs = cpuUs() - startedUs;
  await pool.close();
  return tookUs;
}
