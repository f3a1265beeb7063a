// The segments that a builder names outright, so that they can be looked up before a message comes, and those of blocks.

import { isObject } from './check';
import type { Block, SegBlock } from './entry';

/** A segment as a row of a builder, or a block, names it. `key` is that of its blocks. */
export type FixedSegment = { readonly key: string; readonly adds: boolean } & (
  | { readonly by: 'id'; readonly id: number }
  | { readonly by: 'code'; readonly code: string; readonly member: number }
);

/** Of a builder's saved properties, wherever they come from; rows that cannot be read are none of ours to tell. */
export function fixedSegments(config: unknown): FixedSegment[] {
  const { segments, action } = (config ?? {}) as { segments?: unknown; action?: unknown };
  if (!Array.isArray(segments)) return [];
  return segments.flatMap((row: unknown) => {
    const found = isObject(row) ? fixedSegment(row, action !== 'remove') : null;
    return found === null ? [] : [found];
  });
}

function fixedSegment(row: Record<string, unknown>, adds: boolean): FixedSegment | null {
  // As the builder reads what a flow file leaves out.
  const { by = 'id', memberType = 'num' } = row;
  const text = constant(row.segment, row.segmentType ?? (by === 'code' ? 'str' : 'num'));
  if (text === null) return null;
  if (by === 'id') {
    const id = wholeNumber(text);
    return id === null ? null : { by: 'id', id, key: `i${id}`, adds };
  }
  const memberText = constant(row.member, memberType);
  const member = memberText === null ? null : wholeNumber(memberText);
  if (by !== 'code' || member === null) return null;
  return { by: 'code', code: text, member, key: `c${member}:${text.toLowerCase()}`, adds };
}

/** The segment of a block, as it was written. */
export function segmentOf({ head, key, expiration }: Block): FixedSegment {
  const { seg_id: id, seg_code: code, member_id: member } = JSON.parse(`${head}}`) as SegBlock;
  const adds = expiration !== -1;
  return id === undefined
    ? { by: 'code', code: code!, member: member!, key, adds }
    : { by: 'id', id, key, adds };
}

/** A text or number written into the form; null for what a message, a context or the environment gives. */
function constant(value: unknown, type: unknown): string | null {
  if (type !== 'str' && type !== 'num') return null;
  if (typeof value !== 'string' && typeof value !== 'number') return null;
  const text = String(value);
  return text.trim() === '' || /\$[{(]/.test(text) ? null : text;
}

function wholeNumber(text: string): number | null {
  const number = Number(text);
  return /^\d+$/.test(text.trim()) && number > 0 && Number.isSafeInteger(number) ? number : null;
}
