// Schema of the out node's saved properties.
import * as z from 'zod/mini';
import { choice, flag, Refused, text } from '../shared/saved';

export type OutSettings = z.infer<typeof outSchema>;

export const outSchema = z.object({
  /** Empty: none is chosen, which the node says by itself. */
  account: text(''),
  input: text('payload', (path) => (path === '' ? new Refused('input_missing') : null)),
  inputType: choice(['msg', 'flow', 'global', 'env', 'jsonata'], 'msg'),
  completeOn: choice(['accepted', 'queued'], 'accepted'),
  youngSegments: choice(['ignore', 'warn', 'hold'], 'warn'),
  lateAdds: choice(['shorten', 'asIs'], 'shorten'),
  allowUnknownFields: flag(false),
  dryRun: flag(false),
});
