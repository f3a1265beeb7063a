// Schema of the usage node's saved properties.
import * as z from 'zod/mini';
import { choice, onlyIf, plainText, Refused, text, type Saved } from '../shared/saved';

export type UsageSettings = z.infer<ReturnType<typeof usageSchema>>;

/** From and to count in a range of their own only; a report by itself has no message to read them from. */
export function usageSchema(saved: Saved) {
  const custom = plainText(saved.range) === 'custom';
  const byItself = plainText(saved.schedule) === 'hourly';
  const types = onlyIf(
    custom,
    choice(['msg', 'flow', 'global', 'str', 'num', 'jsonata', 'env'], 'msg'),
    'msg',
  );
  const time = (type: unknown, missing: string | Refused) => {
    const ofMessage = byItself && (plainText(type) ?? 'msg') === 'msg';
    const check = (value: string): Refused | null => {
      if (value === '') return missing instanceof Refused ? missing : null;
      return ofMessage ? new Refused('time_of_message') : null;
    };
    return onlyIf(custom, text(missing, check), '');
  };
  return z.object({
    /** Empty: none is chosen, which the node says by itself. */
    account: text(''),
    schedule: choice(['message', 'hourly'], 'message'),
    range: choice(['hour', 'day', 'twoWeeks', 'custom'], 'hour'),
    from: time(saved.fromType, new Refused('from_missing')),
    fromType: types,
    to: time(saved.toType, ''),
    toType: types,
    detail: choice(['hourly', 'aggregated'], 'hourly'),
  });
}
