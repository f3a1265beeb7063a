// How an entry ended, as one process tells another that took it (the `report` of an EndedRow).

import * as z from 'zod';

import { entryBody, parseBody } from '../audience/serialise';
import type { CheckedEntry } from '../audience/entry';
import type { EndedRow } from '../outbox/outbox';
import { endOf, erasedCode, type Ending } from './reports';
import type { Item } from './user';

/** An entry that this process took has ended. */
export interface SharedEnd extends Ending {
  readonly node: string;
  /** Null for one that nobody is to see again. */
  readonly entry: CheckedEntry | null;
}

/** What the others are to be told of these. */
export function endedElsewhere(items: readonly Item[], instance: string): EndedRow[] {
  const told: EndedRow[] = [];
  for (const item of items) {
    const { instance: its } = item.source;
    if (its === undefined || its === instance) continue;
    const { seq, source } = item;
    told.push({ seq, source, instance: its, report: reportOf(item) });
  }
  return told;
}

export function sharedEnd(item: Item): SharedEnd {
  const { seq, source, entry, rejection, acceptedBlocks, expiredBlocks, warnings } = item;
  const shown = rejection?.code === erasedCode ? null : entry;
  return { seq, node: source.node, entry: shown, rejection, acceptedBlocks, expiredBlocks, warnings };
}

function reportOf(item: Item): string {
  const erased = item.rejection?.code === erasedCode;
  return JSON.stringify({
    end: endOf(item),
    ...(item.rejection !== null && { rejection: item.rejection }),
    ...(item.warnings !== null && { warnings: item.warnings }),
    ...(!erased && { entry: entryBody(item.entry) }),
  });
}

const rejectionSchema = z.object({ code: z.string(), message: z.string() });
const reportSchema = z.object({
  end: z.enum(['accepted', 'superseded', 'expired', 'rejected']),
  rejection: rejectionSchema.optional(),
  warnings: z.array(z.string()).optional(),
  entry: z.string().optional(),
});
const letterSchema = z.array(z.object({ seq: z.number(), node: z.string(), report: z.string() }));

/** The ends that a letter tells. Throws when it is not one of ours. */
export function readEnds(text: string): SharedEnd[] {
  return letterSchema.parse(JSON.parse(text)).map(({ seq, node, report }) => {
    const read = reportSchema.parse(JSON.parse(report));
    return {
      seq,
      node,
      entry: read.entry === undefined ? null : parseBody(read.entry),
      rejection: read.rejection ?? null,
      acceptedBlocks: read.end === 'accepted' ? 1 : 0,
      expiredBlocks: read.end === 'expired' ? 1 : 0,
      warnings: read.warnings ?? null,
    };
  });
}
