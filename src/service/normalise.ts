// The client's normalisation of replies: what the service's documents spell in several ways, in one.
import { asObject, unwrap } from './schemas';

/**
 * Removes the `response` envelope and the `message` level, every key whose value is null (so also a null
 * `domain`), and the stray `domain` beside `rt_segment` in entities; `warnings` of an OK reply default to [].
 * Two replies that mean the same are deeply equal afterwards. Anything but an object comes back unchanged.
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

/** A copy without null-valued keys at any depth; `Object.fromEntries` keeps a key such as `__proto__` harmless. */
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
