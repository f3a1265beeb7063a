// The ways in which scripts/mutants.mjs breaks the delivery engine: each takes one promise away.
//
// `find` has to occur in the file exactly `times` (1 unless said): code that moves takes its mutants along.

const delivery = (file) => `src/delivery/${file}.ts`;

/** A mutant of one change in one file of src/delivery. */
const one = (name, file, find, replace, times = 1) => ({
  name,
  changes: [{ file: delivery(file), find, replace, times }],
});

/** One of the queue that several processes share. */
const shared = (test, name, ...change) => ({
  ...one(`shared queue: ${name}`, ...change),
  first: `test/delivery/${test}.test.ts`,
});

export const mutants = [
  // Promise 3: the quota.
  one(
    'frees the quota at send',
    'outcomes',
    'else ledger.settle(grant, atMs, floorMs);',
    'else ledger.settle(grant, post.sentMs, floorMs);',
  ),
  one(
    'earns back twice the network’s part',
    'ledger',
    'nowMs + 1000 + settleMarginMs - floorMs',
    'nowMs + 1000 + settleMarginMs - 2 * floorMs',
  ),
  one(
    'frees the quota of a lost post as if it had been answered',
    'outcomes',
    'else if (lost) ledger.lose(grant, atMs);',
    'else if (lost) ledger.settle(grant, atMs, 0);',
  ),
  one(
    'counts the first second as free',
    'ledger',
    'this.usedPosts = limits.postsPerSecond;\n    this.usedUsers = limits.usersPerSecond;',
    '',
  ),
  {
    name: 'takes the wall clock for the quota',
    changes: [
      {
        file: delivery('engine'),
        find: 'const nowMs = this.clock.monoMs();',
        replace: 'const nowMs = this.clock.wallMs();',
        times: 4,
      },
      { file: delivery('engine'), find: 'atMs - this.clock.monoMs()', replace: 'atMs - this.clock.wallMs()' },
      {
        file: delivery('engine'),
        find: 'nextAtMs(this.clock.monoMs())',
        replace: 'nextAtMs(this.clock.wallMs())',
      },
      { file: delivery('wire'), find: 'clock.monoMs()', replace: 'clock.wallMs()', times: 3 },
      { file: delivery('dispatcher'), find: 'clock.monoMs()', replace: 'clock.wallMs()' },
    ],
  },
  one(
    'tries again outside the ledger',
    'wire',
    'const outcome = await login.post(post.body, token.token, () => isFresh() && this.mayLeave());',
    "let outcome = await login.post(post.body, token.token, this.mayLeave);\n    if (outcome.kind === 'passing') outcome = await login.post(post.body, token.token, this.mayLeave);",
  ),
  one(
    'forgets the posts of the process before it',
    'engine',
    'dispatcher.ledger.inherit(userHashes.length, untilMs);',
    '',
  ),
  one('takes the whole quota for a search', 'isolation', '/ 4)', '/ 1)', 2),
  one('goes on in spite of a rate limit', 'gates', 'Math.max(this.rateLimitedUntilMs, untilMs)', '0'),
  one('keeps the old limits', 'dispatcher', 'this.ledger.setLimits(limits);', ''),

  // Promises 1 and 4: one end for each entry, nothing lost.
  one(
    'acknowledges before the reply',
    'engine',
    'this.journal.depart({ post: number, userHashes: users.map(({ user }) => user.hash) });',
    "this.journal.depart({ post: number, userHashes: users.map(({ user }) => user.hash) });\n      for (const { cells } of users) for (const { item } of cells) this.journal.mark(item.seq, 'remove');",
  ),
  {
    name: 'calls a message’s end twice',
    changes: [
      { file: delivery('tickets'), find: 'if (this.ended) return;', replace: '' },
      { file: delivery('tickets'), find: 'this.onEnd = ignore;', replace: '' },
    ],
  },
  one('counts an entry’s end twice', 'crowd', 'if (!cell.again) {', 'if (item.open > -9) {'),
  one(
    'says that something is queued before it is',
    'intake',
    'this.takeOne(submission, nowMs);',
    "this.takeOne(submission, nowMs);\n      if (submission.completeOn === 'queued') this.committed();",
  ),
  one(
    'sends before the commit',
    'engine',
    'this.committing = true;',
    'this.committing = true;\n    for (const post of this.departing.splice(0)) this.wire.launch(post);',
  ),
  one(
    'tells ends before they are durable',
    'engine',
    'const commit = this.journal.take();',
    'this.reports.tell();\n    const commit = this.journal.take();',
  ),
  one(
    'forgets the ends of a commit that failed',
    'journal',
    'for (const seq of commit[mark] ?? []) this.marks.set(seq, mark);',
    '',
  ),
  one(
    'takes more than the queue may hold',
    'intake',
    'waiting + submission.entries.length > most',
    'waiting > 1e9 * most',
  ),
  one('sends while it is parked', 'engine', 'return !this.parked && !this.paused', 'return !this.paused'),
  one(
    'sends what a closed node without a durable queue has left',
    'engine',
    'this.intake.abandon(node, this.clock.monoMs());',
    '',
  ),
  one(
    'counts an expired entry as accepted',
    'outcomes',
    "cell.sentExpired ? 'expired' : 'accepted'",
    "'accepted'",
  ),

  one(
    'reports a position in its own list, not in the input',
    'tickets',
    'this.indexes === null ? place : (this.indexes[place] ?? place)',
    'place',
  ),
  one(
    'lets what a rejected entry took the place of pass for delivered',
    'crowd',
    "this.end(older, end === 'rejected' ? 'rejected' : 'superseded', rejection);",
    "this.end(older, 'superseded', null);",
  ),
  one(
    'leaves a timer after closing',
    'engine',
    'this.closed = true;\n    this.cancelWake?.();',
    'this.closed = true;',
  ),

  // Promise 2: the last one wins.
  one('lets memory overtake the disk', 'pager', 'if (!state.unread && room) {', 'if (room) {'),
  one(
    'puts what is read late behind what is newer',
    'pending-blocks',
    'else this.addAmong(cell);',
    'else if (cell.queue !== this) cells.push(cell);',
  ),
  one(
    'lets the older block of a segment win',
    'user',
    "if (older.state === 'waiting') this.absorb(older, newer, covered);",
    "if (older.state === 'waiting' && newer.state === 'waiting') this.absorb(newer, older, covered);\n    else if (older.state === 'waiting') this.absorb(older, newer, covered);",
  ),
  one(
    'lets older blocks go beside newer ones',
    'user',
    "if (older.state === 'waiting') this.absorb(older, newer, covered);",
    "if (older.state === 'absorbed') this.absorb(older, newer, covered);",
  ),
  one(
    'does not repeat what a lost request may undo',
    'outcomes',
    'if (user.mayBeUndone(cell, sentMs)) cell.due = true;',
    '',
  ),
  one(
    'takes a lost request for a refused one',
    'outcomes',
    'if (outcome.ambiguous) this.crowd.suspect(',
    'if (post.sentMs < 0) this.crowd.suspect(',
  ),
  one('does not repeat after an unclean start', 'crowd', 'user.suspectAll(untilMs);', ''),
  {
    name: 'sends two requests of one user at a time',
    changes: [
      {
        file: delivery('dispatcher'),
        find: 'if (user.flight !== null || user.isolated) continue;',
        replace: 'if (user.isolated) continue;',
      },
      {
        file: delivery('crowd'),
        find: 'if (user.flight !== null || user.isolated || !user.waits) return;',
        replace: 'if (user.isolated || !user.waits) return;',
      },
    ],
  },
  one(
    'mixes blocks by id and by code',
    'pending-blocks',
    'if (this.holds(cell) && cell.segment!.kind !== this.runKind) return cell;',
    '',
  ),
  one(
    'takes two spellings of an id for one',
    'item',
    "return spelling === '' ? kind : `${kind}\\n${spelling}`;",
    'return kind;',
  ),
  one(
    'lets a newer state wait for the backoff of an older one',
    'crowd',
    'user.add(item);\n    // A newer state does not wait for the backoff of an older one.\n    user.notBeforeMs = 0;',
    'user.add(item);',
  ),

  // Promise 7: removals first, and never undone.
  one(
    'lets an add on disk follow its removal',
    'crowd',
    'for (const shield of [...shields, ...this.shieldsWhileReading]) {',
    'for (const shield of [...shields, ...this.shieldsWhileReading].slice(0, 0)) {',
  ),
  one(
    'leaves no shield for an add on disk',
    'crowd',
    'if (leavesNothing || !this.pager.hasUnreadBefore(item.seq)) {',
    'if (leavesNothing || item.seq > 0) {',
  ),
  one(
    'forgets shields that were made during a read',
    'crowd',
    'if (this.pager.readingAny) this.shieldsWhileReading.push(shieldOf(item));',
    '',
  ),
  one('lets removals wait in line', 'user', 'return this.removing > 0;', 'return this.removing < 0;'),
  one(
    'reads removals in line',
    'crowd',
    "return entry.removes ? 'removal' : 'add';",
    "return entry.removes && entry.blocks.length < 0 ? 'removal' : 'add';",
  ),
  one(
    'leaves adds nothing in a flood of removals',
    'ready',
    'const placesPerAdd = 5;',
    'const placesPerAdd = 1e9;',
  ),

  // Promise 5: bounded.
  one(
    'reads everything into memory',
    'pager',
    'if (state.loaded > mark || state.further > furtherPerMark * mark) continue;',
    '',
  ),
  one(
    'lets further entries of the same users into memory without end',
    'pager',
    'further ? state.further < furtherPerMark * this.memoryMark : state.loaded < this.memoryMark',
    'further || state.loaded < this.memoryMark',
  ),
  one('packs more than a body holds', 'packer', 'if (left < headBytes) return i;', ''),

  // Promise 6: instant.
  one('holds for longer than 20 ms', 'dispatcher', 'const holdMs = 20;', 'const holdMs = 60;'),
  one(
    'holds although most grants are free',
    'dispatcher',
    'if (free.posts * 2 > this.limits.postsPerSecond) return false;',
    '',
  ),
  one('never gathers', 'dispatcher', 'return nowMs < this.heldSinceMs + holdMs;', 'return false;'),

  // Promise 8: late is not longer.
  one(
    'ages by the wall clock',
    'intake',
    'const bornMonoMs = ofThisProcess ? row.bornMonoMs : nowMs - agedMs;',
    'const bornMonoMs = nowMs - agedMs;',
  ),
  {
    name: 'ages below nothing after a restart',
    changes: [
      {
        file: delivery('intake'),
        find: 'Math.max(0, this.clock.wallMs() - row.bornWallMs)',
        replace: 'this.clock.wallMs() - row.bornWallMs',
      },
      {
        file: delivery('item'),
        find: 'Math.max(0, nowMonoMs - cell.item.bornMonoMs)',
        replace: '(nowMonoMs - cell.item.bornMonoMs)',
      },
    ],
  },
  one(
    'lets what has passed live for a minute',
    'item',
    'return left >= 1 ? left : -1;',
    'return Math.max(1, left);',
  ),
  one(
    'makes what has passed last for ever',
    'item',
    'return left >= 1 ? left : -1;',
    'return Math.max(0, left);',
  ),
  one(
    'ages from when it was taken, not from the event',
    'intake',
    'bornMonoMs: nowMs - ageMs,',
    'bornMonoMs: nowMs,',
  ),

  // Promise 9: failures are told apart.
  one(
    'rejects what was refused although nothing was accepted since',
    'outcomes',
    '} else if (this.gates.',
    '} else if (only.index >= 0 || this.gates.',
  ),
  one('does not pause in an outage', 'gates', 'if (!this.outage) return;', 'if (this.failures > 0) return;'),
  one(
    'goes on with a dead token',
    'wire',
    "if (outcome.kind === 'deadToken') login.refused(token.token);",
    '',
  ),
  one(
    'lets one refused login stop the others',
    'dispatcher',
    'this.logins.isReady(account) && this.crowd.ready.size(account) > 0',
    'this.logins.accounts().every((each) => this.logins.isReady(each)) && this.crowd.ready.size(account) > 0',
  ),
  one(
    'goes on at full speed when everything is refused',
    'gates',
    'const refusalsOfEverything = 4;',
    'const refusalsOfEverything = 1e9;',
  ),

  // What property tests have found once, so that it does not come back.
  one(
    'forgets a repetition as soon as something newer comes',
    'user',
    "if (older.state === 'waiting') this.absorb(older, newer, covered);",
    "if (older.state === 'waiting') this.absorb(older, newer, covered);\n    else if (newer.state === 'waiting') older.due = false;",
  ),
  one(
    'asks for tokens before it knows who waits for them',
    'engine',
    'if (this.mayDepart) this.depart(nowMs);\n      this.askTokens();',
    'this.askTokens();\n      if (this.mayDepart) this.depart(nowMs);',
  ),
  one(
    'takes a reply that was under way for an acceptance after the refusal',
    'outcomes',
    'this.gates.accepted(post.sentMs);',
    'this.gates.accepted(nowMs);',
  ),
  one(
    'does not wait for lost requests of the process before it',
    'engine',
    'const untilMs = nowMs + this.lateMarginMs + (this.shared === null ? 0 : requestTimeoutMs);',
    'const untilMs = nowMs;',
  ),
  one(
    'wakes all the time while a search waits for its quarter',
    'isolation',
    'return Math.max(quarterAtMs, ',
    'return Math.max(-Infinity, ',
  ),
  one(
    'tells a closing node that its entries are safe before they are',
    'intake',
    'if (underWay.has(ticket)) this.parking.add(ticket);\n      else this.park(ticket);',
    'this.park(ticket);',
  ),
  one(
    'calls a witness whose user has had a later, expired add',
    'outcomes',
    'this.witness = cell;',
    'if (!cell.sentExpired) this.witness = cell;',
  ),
  one(
    'calls a witness that would go as a removal that nobody asked for',
    'crowd',
    'if (asRemoval && !sentExpired) return;',
    '',
  ),
  one(
    'never asks the user under search for a witness',
    'crowd',
    'if (this.users.get(entry.userKey)?.takesBack(cell) === false) return;',
    'if (this.users.has(entry.userKey)) return;',
  ),
  one(
    'sends once more after a crash what was given up',
    'crowd',
    "const mark = item.leftNothing ? 'remove' : 'repeat';",
    "const mark = 'repeat' as 'remove' | 'repeat';",
  ),
  one('calls no witness', 'outcomes', 'this.crowd.sendAgain(this.witness, nowMs);', 'this.witness = null;'),
  one(
    'hides good entries behind many bad ones',
    'pager',
    'stuck ? stuckMarks * this.memoryMark : this.memoryMark / 2',
    'this.memoryMark / 2',
  ),
  one(
    'does not write down what a departure covers',
    'crowd',
    "for (const cell of covered) this.end(cell, 'superseded', null);\n    // They are told after this turn's commit, so it must know of them, also when the user leaves for the service.\n    this.forget(user);",
    "for (const cell of covered) this.end(cell, 'superseded', null);",
  ),
  // Purges and erasures, across crashes.
  one(
    'forgets what ended by a newer entry, of which a crash knows nothing',
    'item',
    'return this.givenUp || this.changedNothing;',
    'return true;',
  ),
  one(
    'forgets what shared an end that a lost request may undo',
    'outcomes',
    'for (const older of cell.absorbed ?? []) if (user.mayBeUndone(older, sentMs)) older.due = true;',
    '',
  ),
  one(
    'erases a repetition that the log holds',
    'dismisser',
    'erasure.owesRepetitions = true;',
    "dismissals.rowGone(row.seq);\n      journal.mark(row.seq, 'remove');",
  ),
  one(
    'erases the shields above a repetition',
    'dismisser',
    'if (!erasure.owesRepetitions) for (const seq of erasure.shields)',
    'for (const seq of erasure.shields)',
  ),
  one(
    'covers older blocks by rejected ones of a shield',
    'crowd',
    'if (rejected !== undefined) shield.cells',
    'if (rejected === null) shield.cells',
  ),
  one(
    'does not go on with an erasure after a crash',
    'dismisser',
    'if (this.resumed.length > 0) this.beginResumed();',
    '',
  ),
  one(
    'does not write down which erasures are under way',
    'dismisser',
    'this.search(request, throughSeq, hashes);\n    this.unmarkedErasures = true;',
    'this.search(request, throughSeq, hashes);',
  ),
  one(
    'keeps an erasure’s mark for ever',
    'dismisser',
    'dismissals.forget(key);\n      this.unmarkedErasures = true;',
    'dismissals.forget(key);',
  ),
  {
    name: 'lets a removal wait behind a held add of the other kind',
    changes: [
      {
        file: delivery('user'),
        find: 'return held !== nobody && this.removalBehind(end) ? nobody : held;',
        replace: 'return held;',
      },
      { file: delivery('user'), find: 'if (this.removalBehind(end)) return -Infinity;', replace: '' },
    ],
  },
  // Several processes with one queue.
  shared(
    'shared-queue',
    'posts though its lease has run out',
    'shared-queue',
    'mayPost: () => this.lease.mayPost(epoch),',
    'mayPost: () => true,',
  ),
  shared(
    'lease-keeper',
    'counts its lease from the answer on',
    'lease-keeper',
    'this.took(claim, until);',
    'this.took(claim, { monoMs: clock.monoMs() + leaseMs, wallMs: clock.wallMs() + leaseMs });',
  ),
  shared(
    'lease-keeper',
    'posts under a later lease what was made ready under an earlier one',
    'lease-keeper',
    'this.epoch === epoch && leftMs',
    'this.epoch !== null && leftMs',
  ),
  shared(
    'stale-posts',
    'lets a post leave after its engine was closed',
    'engine',
    'if (this.closed || this.clock.monoMs() >= this.leavesUntilMs)',
    'if (this.clock.monoMs() >= this.leavesUntilMs)',
  ),
  shared(
    'engines',
    'waits for ever for a database that is gone, when it is closed',
    'shared-queue',
    'await within(\n      clock,\n      goodbyeMs,\n      released.then(() => this.engineClosing),\n    );',
    'await released.then(() => this.engineClosing);',
  ),
  shared(
    'lost-requests',
    'lets the margin of a lost request pass while the machine sleeps',
    'engine',
    'this.crowd.slept(forMs);',
    '',
  ),
  shared(
    'lease-keeper',
    'goes on under its old epoch when it has taken the lease anew',
    'lease-keeper',
    'if (this.epoch !== null && (!ours || epoch !== this.epoch)) {',
    'if (this.epoch !== null && !ours) {',
  ),
  shared(
    'shared-queue',
    'lets the engine go on when the lease is lost',
    'shared-queue',
    'this.engineClosing = engine.close().catch(() => undefined);',
    '',
  ),
  shared(
    'spool',
    'hands a batch in doubt over under a new number',
    'spool',
    'if (doubtful !== null) this.doubt = doubtful;',
    '',
  ),
  shared(
    'spool',
    'hands over again what an earlier process had handed over',
    'spool',
    'await this.open();\n    this.handedOverSeq ??= await this.forgetHandedOver();',
    'await this.open();\n    this.handedOverSeq ??= 0;',
  ),
  shared(
    'shared-queue',
    'appends new entries before those that are kept on the machine',
    'shared-intake',
    'if (this.spooling) await this.keepPending(this.pending);',
    'if (this.spoolFails) await this.keepPending(this.pending);',
  ),
  shared(
    'shared-intake',
    'overlooks ends that come before the number of their batch',
    'shared-intake',
    'if (this.pending !== null && end.seq > this.lastSeq) this.early.push(end);',
    'if (this.closed) this.early.push(end);',
  ),
  shared(
    'shared-queue',
    'writes to a process what it knows itself',
    'shared-ends',
    'if (its === undefined || its === instance) continue;',
    'if (its === undefined) continue;',
  ),
  shared(
    'shared-queue',
    'tells nobody what a process that is gone would have been told',
    'shared-queue',
    'log.adoptMail(instance, claim.epoch).then(',
    'Promise.resolve().then(',
  ),
];
