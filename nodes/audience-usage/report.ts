// Report of the usage node: the service's figures, the comparison with sent entries, and the findings as sentences.

import { printable, maxTextChars } from '../../src/entry/index';
import { hourMs } from '../../src/queue/index';
import type { Finding, NoEffectFinding, Range, UsageRun } from '../../src/usage/index';
import { hourOf, languageOf, long } from '../shared/figures';
import type { Words } from '../shared/words';

/** A finding as it leaves the node. */
type ToldFinding = Finding & { readonly sentence: string };

export function told(words: Words, finding: Finding): ToldFinding {
  return { ...finding, sentence: sentenceOf(words, finding) };
}

function sentenceOf(words: Words, finding: Finding): string {
  const figure = figureIn(words);
  switch (finding.kind) {
    case 'inactiveSegment':
    case 'unauthorizedSegment':
    case 'unknownSegment':
      return words._(`finding.${finding.kind}`, {
        segment: segmentText(words, finding),
        what: whatText(words, finding),
      });
    case 'unknownUsers': {
      const { users, percent, associations } = finding;
      return words._('finding.unknownUsers', {
        users: amount(words, 'user', users),
        percent: figure(percent),
        associations: figure(associations),
      });
    }
    case 'notProcessed':
    case 'unconfirmed': {
      const { users, associations, since } = finding;
      return words._(`finding.${finding.kind}`, {
        users: amount(words, 'user', users),
        associations: figure(associations),
        since: hourOf(since, languageOf(words)),
      });
    }
    case 'otherErrors':
      return words._('finding.otherErrors', { errors: figure(finding.errors) });
  }
}

function segmentText(words: Words, { segment, member }: NoEffectFinding): string {
  if (typeof segment === 'number') return String(segment);
  return words._('finding.code', { code: printable(segment, maxTextChars), member });
}

function whatText(words: Words, { adds, removes }: NoEffectFinding): string {
  const some = (kind: 'add' | 'remove', number: number): string => amount(words, kind, number);
  if (adds === 0 && removes === 0) return words._('amount.nothing');
  if (removes === 0) return words._('amount.lost', { what: some('add', adds) });
  if (adds === 0) return words._('amount.lost', { what: some('remove', removes) });
  const both = words._('amount.both', { adds: some('add', adds), removes: some('remove', removes) });
  return words._('amount.lost', { what: both });
}

/** `1 add`, `4,120 adds`. */
function amount(words: Words, kind: 'add' | 'remove' | 'user', number: number): string {
  return words._(`amount.${kind}${number === 1 ? '' : 's'}`, { number: figureIn(words)(number) });
}

/** 4120 as the words' language writes it. */
export function figureIn(words: Words): (value: number) => string {
  const language = languageOf(words);
  return (value) => long(value, language);
}

// ── The message ─────────────────────────────────────────────────────────────────────────────────────────────────────

interface ReportContext {
  readonly member: number;
  readonly range: Range;
  /** Entries in the member's queue. */
  readonly queued: number;
}

export function reportOf(
  { report, reconciliation, reconciliationError }: UsageRun,
  { member, range, queued }: ReportContext,
  findings: readonly ToldFinding[],
) {
  return {
    member,
    from: new Date(range.fromMs).toISOString(),
    to: new Date(range.toMs).toISOString(),
    ...report,
    reconciliation: reconciliation === null ? null : withTimes(reconciliation, queued),
    ...(reconciliationError !== null && { reconciliationError }),
    findings,
  };
}

function withTimes(reconciliation: NonNullable<UsageRun['reconciliation']>, queued: number) {
  const { accountedFor, notProcessed, unconfirmed } = reconciliation;
  return {
    ...reconciliation,
    /** Entries that wait here; users (once a request) from then on. */
    states: {
      queued,
      accepted: notProcessed.users - unconfirmed.users,
      processed: accountedFor.users,
      unconfirmed: unconfirmed.users,
    },
    hours: reconciliation.hours.map(({ hour, ...rest }) => ({
      hour: new Date(hour * hourMs).toISOString(),
      ...rest,
    })),
  };
}
