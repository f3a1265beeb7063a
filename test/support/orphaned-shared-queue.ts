// A queue in a shared database, as a process leaves it there that is gone.
import { hashUserKey, userKeyOf } from '../../src/entry/keys';
import { PostgresLog } from '../../src/queue-postgres/postgres-log';
import { batchOf, sharedRow } from '../queue/rows';

export const leftOrigin = 'https://left.example';

/** A process takes an entry for each of these devices (IDFA), for a member of `leftOrigin`. Its log is still open. */
export async function takeForMember(
  url: string,
  member: string,
  devices: readonly string[],
): Promise<PostgresLog> {
  const log = new PostgresLog({ url, origin: leftOrigin, member });
  await log.open();
  const rows = devices.map((id, at) =>
    sharedRow(at, {
      userHash: hashUserKey(userKeyOf('idfa', id).userKey),
      body: JSON.stringify({ user_id: id, domain: 'idfa', seg_block: [{ seg_id: 10001 }] }),
    }),
  );
  await log.append(batchOf('gone', 1, rows));
  return log;
}
