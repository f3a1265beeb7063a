// How an entry ended, as one process tells another that took it (the `report` of an EndedRow).

import * as z from 'zod';

import { entryBody, isBodyOf, parseBody } from '../../entry/serialise';
import type { CheckedEntry } from '../../entry/entry';
import type { EndedRow } from '../../queue/store';
import type { Letter } from '../../queue/shared-log';
import { endOf, type Ending } from '../respond/entry-end';
import { erasedCode } from '../respond/reports';
import type { Item } from '../pending/item';

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

/**
 * A letter without what shows one user: those ends are counted then, and told to nobody. '' for one that is only about
 * the user; as it is, when it is not about them or makes no sense.
 */
export function letterWithout(kind: Letter['kind'], text: string, userKeys: readonly string[]): string {
  try {
    if (kind === 'ended') return endsWithout(text, userKeys);
    const { order } = orderOfUser.parse(JSON.parse(text));
    return order.userKeys.some((key) => userKeys.includes(key)) ? '' : text;
  } catch {
    return text;
  }
}

const orderOfUser = z.object({ order: z.object({ userKeys: z.array(z.string()) }) });

function endsWithout(text: string, userKeys: readonly string[]): string {
  const ends = JSON.parse(text) as readonly { readonly report: string }[];
  const left = ends.map((end) => {
    const { end: how, entry, rejection } = reportSchema.parse(JSON.parse(end.report));
    if (entry === undefined || !isBodyOf(userKeys, entry)) return end;
    // The service's words may name the user.
    const report = { end: how, ...(rejection !== undefined && { rejection: { ...rejection, message: '' } }) };
    return { ...end, report: JSON.stringify(report) };
  });
  return left.some((end, at) => end !== ends[at]) ? JSON.stringify(left) : text;
}
