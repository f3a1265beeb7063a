// Normalises replies: turns the several documented spellings into one.
import { asObject, unwrap } from './schemas';

/**
 * Removes the `response` envelope and the `message` level, every key whose value is null (including a null `domain`),
 * and the meaningless `domain` beside `rt_segment` in entities (service.md 3.1). `warnings` of an OK reply default to
 * []. Replies with the same meaning are deeply equal afterwards. A value that is not an object is returned unchanged.
 */
export function normaliseReply(reply: unknown): unknown {
  const envelope = unwrap(reply);
  if (envelope === null) return reply;
  const { message, ...rest } = envelope;
  const level = asObject(message);
  const flat = level === null ? envelope : { ...rest, ...level };
  const clean = withoutNulls(flat) as Record<string, unknown>;
  return clean.status === 'OK' ? { ...clean, warnings: clean.warnings ?? [] } : clean;
}

/** A deep copy without null-valued keys. `Object.fromEntries` makes a key such as `__proto__` harmless. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  const object = asObject(value);
  if (object === null) return value;
  const stray = 'rt_segment' in object ? 'domain' : null;
  return Object.fromEntries(
    Object.entries(object)
      .filter(([key, one]) => one !== null && one !== undefined && key !== stray)
      .map(([key, one]) => [key, withoutNulls(one)]),
  );
}
