// A hand-written client: undici, a loop, and the same input.
import type { Feed } from './entries';
import { postAll } from './post-all';
import { serve } from './serve';

export const operations = {
  /** Posts every message of the feed as one body; see `postAll`. */
  post(url: string, feed: Feed, concurrent: number): Promise<number> {
    return postAll(url, feed, concurrent, (entries, post) => post(JSON.stringify({ rt_segment: entries })));
  },
};
serve(operations);
