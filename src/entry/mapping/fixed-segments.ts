// Segments that a builder's configuration names as constants, which can be looked up before any message, and those of
// blocks.

import { isObject } from '../check';
import type { Block, SegBlock } from '../entry';

/** A segment named by a row of a builder, or by a block. `key` is the key of its blocks. */
export type FixedSegment = { readonly key: string; readonly adds: boolean } & (
  | { readonly by: 'id'; readonly id: number }
  | { readonly by: 'code'; readonly code: string; readonly member: number }
);

/** The constant segments in a builder's saved properties. Skips unreadable rows: the builder itself reports them. */
export function fixedSegments(config: unknown): FixedSegment[] {
  const { segments, action } = (config ?? {}) as { segments?: unknown; action?: unknown };
  if (!Array.isArray(segments)) return [];
  return segments.flatMap((row: unknown) => {
    const found = isObject(row) ? fixedSegment(row, action !== 'remove') : null;
    return found === null ? [] : [found];
  });
}

function fixedSegment(row: Record<string, unknown>, adds: boolean): FixedSegment | null {
  // The builder's own defaults for properties that a flow file leaves out.
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

/** The segment of a block, in its original spelling. */
export function segmentOf({ head, key, expiration }: Block): FixedSegment {
  const { seg_id: id, seg_code: code, member_id: member } = JSON.parse(`${head}}`) as SegBlock;
  const adds = expiration !== -1;
  return id === undefined
    ? { by: 'code', code: code!, member: member!, key, adds }
    : { by: 'id', id, key, adds };
}

/** A constant text or number of the form; null for values of messages, contexts and the environment. */
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
