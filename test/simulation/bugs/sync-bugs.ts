// Bugs of a synced segment: members that the service has not accepted, users who come back, and users who are lost.
import { CommitBuffer } from '../../../src/delivery/commit-buffer';
import { Loader } from '../../../src/delivery/loader';
import { PendingUsers } from '../../../src/delivery/pending/pending-users';
import { AppendedRefreshes } from '../../../src/delivery/sync/appended-refreshes';
import { ChangedMembers } from '../../../src/delivery/sync/changed-members';
import { MemberSync } from '../../../src/delivery/sync/member-sync';
import { Suppressions } from '../../../src/delivery/sync/suppressions';
import { Turns } from '../../../src/delivery/turns';
import { memberKeyOfEntry } from '../../../src/entry/member-key';
import { breaks, bug, replaced, type Bug } from './bug';

export const syncBugs: readonly Bug[] = [
  bug('a refresh replaces older entries of its user', () => [
    replaced(PendingUsers, 'withdrawRefresh', () => undefined),
    replaced(Loader, 'mayRefresh', function (_original, { lane }, checked, { segment, readSince }) {
      const { readAhead, changedMembers } = this.parts;
      return (
        readAhead.hasRoom(lane, false) && !changedMembers.has(segment, memberKeyOfEntry(checked), readSince)
      );
    }),
  ]),
  breaks('a refresh ignores what changed since its members were read', ChangedMembers, 'has', () => false),
  breaks('a refresh that an earlier sender left is sent', AppendedRefreshes, 'isOutdated', () => false),
  breaks('members change before the service has accepted them', Turns, 'depart', function (original, nowMs) {
    original(nowMs);
    for (const { users } of this.departing)
      for (const { blocks } of users) for (const block of blocks) this.parts.members.accepted(block, nowMs);
  }),
  breaks(
    'the members of a failed commit are forgotten',
    CommitBuffer,
    'putBack',
    function (original, commit) {
      const { members: _members, ...rest } = commit;
      original(rest);
    },
  ),
  breaks('an add of a suppressed user is accepted', Suppressions, 'has', () => false),
  breaks('an erased user stays in the synced segment', MemberSync, 'remove', () => Promise.resolve()),
];
