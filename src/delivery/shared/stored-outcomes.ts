// An outcome as the active instance stores it for the instance that appended the entry (the `report` of an OutcomeRow).

import * as z from 'zod';

import { isBodyOf, parseBody } from '../../entry/read-body';
import type { OutcomeRow } from '../../queue/store';
import { endOf } from '../pending-messages';
import type { Outcome } from '../respond/reports';
import { erasedCode } from '../respond/reports';
import type { PendingEntry } from '../pending/pending-entry';

/** What other instances have to report of these. Of a queue that is not shared there are none. */
export function outcomesOfOthers(
  entries: readonly PendingEntry[],
  instance: string | undefined,
): OutcomeRow[] {
  const outcomes: OutcomeRow[] = [];
  if (instance === undefined) return outcomes;
  for (const entry of entries) {
    const { instance: its } = entry.source;
    // Those of bulk entries are the active instance's own.
    if (entry.bulk || its === undefined || its === instance) continue;
    const { seq, source } = entry;
    outcomes.push({ seq, source, instance: its, report: reportOf(entry) });
  }
  return outcomes;
}

function reportOf(entry: PendingEntry): string {
  const { rejection, warnings } = entry;
  const erased = rejection?.code === erasedCode;
  return JSON.stringify({
    end: endOf(entry),
    ...(rejection !== null && { rejection }),
    ...(warnings !== null && { warnings }),
    ...(!erased && { entry: entry.checked.body }),
  });
}

const rejectionSchema = z.object({ code: z.string(), message: z.string() });
const reportSchema = z.object({
  end: z.enum(['accepted', 'superseded', 'expired', 'rejected']),
  rejection: rejectionSchema.optional(),
  warnings: z.array(z.string()).optional(),
  entry: z.string().optional(),
});
const outcomesSchema = z.array(z.object({ seq: z.number(), node: z.string(), report: z.string() }));

/** What is in a row of the outcome table. Throws when the engine did not write it. */
export function readOutcomes(text: string): Outcome[] {
  return outcomesSchema.parse(JSON.parse(text)).map(({ seq, node, report }) => {
    const read = reportSchema.parse(JSON.parse(report));
    return {
      seq,
      source: { node },
      pendingMessage: null,
      checked: read.entry === undefined ? null : parseBody(read.entry),
      ending: {
        rejection: read.rejection ?? null,
        effect: read.end === 'accepted' || read.end === 'expired' ? read.end : 'none',
        warnings: read.warnings ?? null,
      },
    };
  });
}

/** Outcomes without what shows one user: those are counted then, and reported to nobody. As it is when it makes no sense. */
export function outcomesWithout(text: string, userKeys: readonly string[]): string {
  try {
    const outcomes = JSON.parse(text) as readonly { readonly report: string }[];
    const left = outcomes.map((outcome) => {
      const { end, entry, rejection } = reportSchema.parse(JSON.parse(outcome.report));
      if (entry === undefined || !isBodyOf(userKeys, entry)) return outcome;
      // The service's words may name the user.
      const report = { end, ...(rejection !== undefined && { rejection: { ...rejection, message: '' } }) };
      return { ...outcome, report: JSON.stringify(report) };
    });
    return left.some((outcome, at) => outcome !== outcomes[at]) ? JSON.stringify(left) : text;
  } catch {
    return text;
  }
}
