// Two real Node-RED that share a queue in a real PostgreSQL, each with the same audience sync: the active one is killed in the
// middle of a run.
import { strict as assert } from 'node:assert';
import { nodeIds, AudienceSite } from '../support/audience-site';
import { cleanUps } from '../support/clean-up';
import { nodeRedVersion, until, type FlowNode } from '../support/node-red';
import { assertQuotaKept } from '../support/quota';
import { ownPostgres } from '../support/services';
import { StandAloneSandbox } from '../support/stand-alone-sandbox';

const segment = 10001;
const idsFrom = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) => String(1_000_000 + from + index)).sort();

/** `POST rows` takes a whole audience, `GET told` tells what came out of the sync. */
function syncNodes(): FlowNode[] {
  const inTab = (node: FlowNode, ...wires: string[][]): FlowNode => ({
    ...{ z: nodeIds.tab, x: 100, y: 100 },
    ...node,
    wires,
  });
  const keep = (id: string): FlowNode => ({
    ...{ id, type: 'function', outputs: 0 },
    func: `const all = global.get('${id}') ?? []; all.push(msg.payload); global.set('${id}', all);`,
  });
  const told = ['reports', 'refused'].map((id) => `${id}: global.get('${id}') ?? []`).join(', ');
  return [
    inTab({ id: 'rows', type: 'http in', method: 'post', url: '/rows' }, ['sync', 'response']),
    inTab(
      { id: 'sync', type: 'xandr-audience-sync', account: nodeIds.account, segment: String(segment) },
      ['reports'],
      ['refused'],
    ),
    inTab(keep('reports')),
    inTab(keep('refused')),
    inTab({ id: 'ask told', type: 'http in', method: 'get', url: '/told' }, ['tell told']),
    inTab(
      {
        ...{ id: 'tell told', type: 'function', outputs: 1 },
        func: `msg.payload = { ${told} }; return msg;`,
      },
      ['response'],
    ),
  ];
}

describe('an audience sync of two Node-RED that share a queue', function () {
  this.timeout(180_000);
  const ends = cleanUps();
  let sandbox: StandAloneSandbox;
  const sites: AudienceSite[] = [];

  before(async function () {
    const database = await ownPostgres(this, ends, 'audience_shared_sync');
    sandbox = await StandAloneSandbox.start();
    ends(() => sandbox.kill());
    for (const [index, version] of [nodeRedVersion, '5' as const].entries()) {
      const site = await AudienceSite.make({
        ...{ version, serviceUrl: sandbox.url, databaseUrl: database.url, name: `node-${index + 1}` },
        moreNodes: syncNodes(),
      });
      sites.push(site);
      ends(() => site.close());
      await site.start();
    }
  });

  const users = async (): Promise<string[]> => (await sandbox.state()).map(({ user_id: id }) => id).sort();
  const give = (site: AudienceSite, ids: readonly string[]) =>
    site.running.post(
      'rows',
      ids.map((id) => ({ id })),
    );
  const told = (site: AudienceSite): Promise<{ reports: any[]; refused: any[] }> => site.running.json('told');
  const logs = (): string => sites.map(({ log }) => log.slice(-3_000)).join('\n');

  it('ends a run at the other one after kill −9, with the segment equal to the table', async () => {
    // Whoever stands by refers to the other.
    const ids = idsFrom(0, 6_000);
    let active = -1;
    for (const [at, site] of sites.entries()) {
      await give(site, ids);
      await until(
        async () => (await users()).length > 0 || (await told(site)).refused.length > 0,
        30_000,
        () => `the first members, or a standby; logs:\n${logs()}`,
      );
      if ((await told(site)).refused.length > 0) continue;
      active = at;
      break;
    }
    const other = sites[1 - active]!;
    await until(async () => (await users()).length > 1_500, 60_000, 'the first members');
    await sites[active]!.stop('SIGKILL');
    assert.ok((await users()).length < 6_000);
    await until(
      async () => (await told(other)).reports.length === 1,
      60_000,
      () => `a report; logs:\n${logs()}`,
    );
    const { status, added, members } = (await told(other)).reports[0];
    assert.deepEqual([status, added, members], ['ended', 6_000, 6_000]);
    assert.deepEqual(await users(), ids);
    await sites[active]!.start();
    await give(other, idsFrom(100, 6_000));
    await until(
      async () => (await told(other)).reports.length === 2,
      60_000,
      () => `a report; logs:\n${logs()}`,
    );
    const next = (await told(other)).reports[1];
    assert.deepEqual([next.added, next.removed, next.unchanged], [100, 100, 5_900]);
    assert.deepEqual(await users(), idsFrom(100, 6_000));
    assertQuotaKept(await sandbox.peaks());
  });
});
