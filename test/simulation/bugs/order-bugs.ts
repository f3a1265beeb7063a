// Bugs by which an older state wins, or a membership lasts too long.
import { AmbiguousRequests } from '../../../src/delivery/pending/ambiguous';
import { Coalescing } from '../../../src/delivery/pending/coalescing';
import { PendingUsers } from '../../../src/delivery/pending/pending-users';
import { Loader } from '../../../src/delivery/loader';
import { Producer } from '../../../src/delivery/producer';
import { OlderRows } from '../../../src/delivery/pending/older-rows';
import { PendingBlocks } from '../../../src/delivery/pending/pending-blocks';
import { ReadAhead } from '../../../src/delivery/pending/read-ahead';
import { ReadyUsers } from '../../../src/delivery/schedule/ready';
import { User } from '../../../src/delivery/pending/user';
import { WaitingBlocks } from '../../../src/delivery/pending/waiting-blocks';
import { RequestsInFlight } from '../../../src/delivery/schedule/requests-in-flight';
import { breaks, bug, replaced, type Bug, type Inside } from './bug';

export const orderBugs: readonly Bug[] = [
  breaks(
    'a block that an ambiguous request may undo is not resent',
    AmbiguousRequests,
    'mayUndo',
    () => false,
  ),
  breaks('an ambiguous request counts as refused', PendingUsers, 'addAmbiguous', () => undefined),
  breaks('nothing is resent after a crash', AmbiguousRequests, 'addUnknown', () => undefined),
  breaks('a user has two requests in flight', PendingUsers, 'makeReady', function (original, user, nowMs) {
    user.flight = null;
    original(user, nowMs);
  }),
  breaks('blocks by ID and by code share a request', WaitingBlocks, 'firstRun', function () {
    return { queues: this.queues.filter(({ first }: Inside) => first !== null), end: null };
  }),
  breaks(
    'in one entry, an add by ID is sent before an earlier removal by code',
    Loader,
    'append',
    function (original, row, checked, taken) {
      const blocks = [...checked.blocks].sort((a: Inside, b: Inside) => (a.kind < b.kind ? 1 : -1));
      original(row, { ...checked, blocks }, taken);
    },
  ),
  breaks('older blocks are not covered by newer ones', User, 'merge', () => []),
  breaks(
    'a failed block is sent after a newer one',
    Coalescing,
    'absorb',
    function (original, older, newer, covered) {
      const failed = older.refusedAtMs !== null && newer.state === 'waiting';
      original(failed ? newer : older, failed ? older : newer, covered);
    },
  ),
  breaks(
    'an ended entry is forgotten before older rows are read',
    OlderRows,
    'completeThroughSeq',
    () => Infinity,
  ),
  breaks('older rows of a user are not read', OlderRows, 'need', () => undefined),
  breaks(
    'new entries overtake those that are on disk only',
    ReadAhead,
    'admits',
    function (original, lane, seq, further, appendedWallMs) {
      if (!this.states[lane].unread) return original(lane, seq, further, appendedWallMs);
      this.loaded(lane, further);
      return true;
    },
  ),
  breaks('removals wait behind adds', ReadyUsers, 'put', function (original, user, account) {
    const { removes } = Object.getOwnPropertyDescriptors(User.prototype);
    Object.defineProperty(User.prototype, 'removes', { configurable: true, get: () => false });
    try {
      original(user, account);
    } finally {
      Object.defineProperty(User.prototype, 'removes', removes);
    }
  }),
  bug('everything is read into memory', () => [
    replaced(ReadAhead, 'admits', function (_original, lane, seq, further) {
      this.states[lane].cursor = seq;
      this.loaded(lane, further);
      return true;
    }),
  ]),
  bug('the expiration is aged twice', () => aged((left, waited) => Math.max(1, left - waited))),
  bug('the expiration does not age', () => aged((left, waited) => left + waited)),
  bug('an expired add is sent to last forever', () =>
    bodies((block) => (block.expiration === -1 && block.wasAdd ? { ...block, expiration: 0 } : block)),
  ),
  bug('an expired add lasts another minute', () =>
    bodies((block) => (block.expiration === -1 && block.wasAdd ? { ...block, expiration: 1 } : block)),
  ),
  breaks(
    'a block that is read late is sent after a newer one',
    PendingBlocks,
    'addAmong',
    function (_original, block) {
      if (block.queue !== this) this.blocks.push(block);
    },
  ),
  breaks(
    'the expiration counts from the acceptance of the entry, not from the event',
    Producer,
    'begin',
    function (original, handedIn, entries, nowMs) {
      const without = entries.map((entry: object) => ({ ...entry, eventTimeMs: null }));
      return original(handedIn, without, nowMs);
    },
  ),
];

interface Sent {
  readonly expiration?: number;
  readonly wasAdd: boolean;
  readonly waitedMinutes: number;
}

/** Changes the blocks of bodies as they are sent. */
function bodies(change: (block: Sent) => Sent): () => void {
  return replaced(RequestsInFlight, 'send', function (original, post) {
    const body = JSON.parse(post.body) as { rt_segment: { seg_block: { expiration?: number }[] }[] };
    const nowMs = this.clock.monoMs();
    post.users.forEach(({ blocks: pending }: Inside, at: number) => {
      const blocks = body.rt_segment[at]!.seg_block;
      blocks.forEach((block, place) => {
        const { segBlock, entry } = pending[place];
        const given = segBlock.expiration as number | null;
        const waitedMinutes = Math.floor(Math.max(0, nowMs - entry.eventMonoMs) / 60_000);
        const {
          wasAdd: _wasAdd,
          waitedMinutes: _waited,
          ...changed
        } = change({ ...block, wasAdd: given !== -1, waitedMinutes });
        blocks[place] = changed;
      });
    });
    return original({ ...post, body: JSON.stringify(body) });
  });
}

function aged(change: (left: number, waitedMinutes: number) => number): () => void {
  return bodies((block) =>
    block.expiration !== undefined && block.expiration > 0
      ? { ...block, expiration: change(block.expiration, block.waitedMinutes) }
      : block,
  );
}
