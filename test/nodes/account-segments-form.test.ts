// The list of segments in the builder's form: read through an account, searched, and why there is none.
import assert from 'node:assert/strict';
import type { Answer } from '../../nodes/account/forms/admin';
import { sandbox as shared } from '../../nodes/account/process-wide';
import { accountForms, checkWords, inSubflow, rightPassword } from './account-forms';
import { customAccount, entry, Flow, load, login, sleep, unload } from './out-flow';

describe('the list of segments in the form of a builder', () => {
  const its = accountForms();
  const page = async (id: string, query: Record<string, string> = {}): Promise<any> => {
    const answer: Answer = await its.forms.segments(id, query);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body;
  };
  /** With the values of an account as the editor has it. */
  const ofForm = async (values: object, query: object = {}, id = 'new'): Promise<any> => {
    const { status, body } = await its.forms.formSegments({ id, values, ...query });
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };
  const inSandbox = { environment: 'sandbox' };
  const names = ({ segments }: any): string[] => segments.map((segment: any) => segment.shortName);
  const many = (count: number): any[] =>
    Array.from({ length: count }, (_, index) => ({
      id: 20_000 + index,
      code: `code_${index}`,
      short_name: `Name ${String(index).padStart(5, '0')}`,
      state: index % 100 === 99 ? 'inactive' : 'active',
      member_id: 7,
      expire_minutes: 0,
      last_modified: '2026-01-01 00:00:00',
    }));

  it('has the samples of the its.sandbox, also for an account that is not deployed', async () => {
    const all = await ofForm(inSandbox);
    assert.equal(all.total, 15);
    assert.equal(all.next, null);
    assert.ok(names(all).includes('Kitchen: viewed a product'));
    const last = all.segments.at(-1);
    assert.deepEqual([last.state, last.code], ['inactive', 'summer_sale_2019']);
    assert.equal(shared.current() !== null, true);
  });

  it('is searched by name, code and id, by all the words of the search', async () => {
    const found = async (search: string): Promise<string[]> => names(await ofForm(inSandbox, { search }));
    assert.deepEqual(await found('kitchen'), ['Kitchen: bought a product', 'Kitchen: viewed a product']);
    assert.deepEqual(await found(' VIEWED  kitchen '), ['Kitchen: viewed a product']);
    assert.deepEqual(await found('cart_leavers'), ['Left a filled cart']);
    assert.deepEqual(await found('10005'), ['Loyalty programme']);
    assert.deepEqual(await found('1000').then((all) => all.length), 9);
    assert.deepEqual(await found('nothing like it'), []);
  });

  it('reports an account that is not deployed', async () => {
    assert.equal((await page('new')).result, 'notDeployed');
  });

  it('is read with the values of an account that is not deployed, and names what is missing in them', async () => {
    const url = await its.start();
    const values = { environment: 'custom', authUrl: url, serviceUrl: url, member: 7, username: 'me' };
    assert.equal((await ofForm(values)).problem.key, 'error.password_missing');
    assert.equal((await ofForm({ ...values, password: '__PWRD__' })).problem.key, 'error.password_missing');
    assert.equal((await ofForm({ ...values, password: rightPassword })).total, 15);
    const found = await ofForm({ ...values, password: rightPassword }, { search: 'kitchen', start: 1 });
    assert.equal(found.segments.length, 1);
    assert.equal(its.sandbox!.peaks().totals.authentications, 1, 'one login for all of it');
  });

  it('is read with the changed values of a deployed account, and with its stored credentials', async () => {
    const url = await its.start();
    await load([customAccount('http://127.0.0.1:1')], login(rightPassword));
    const values = { environment: 'custom', authUrl: url, serviceUrl: url, member: '7' };
    for (const credentials of [{}, { username: 'me', password: '__PWRD__' }]) {
      const all = await ofForm({ ...values, ...credentials }, {}, 'account');
      assert.equal(all.total, 15);
      assert.ok(!JSON.stringify(all).includes(rightPassword));
    }
    const answer = await its.forms.formSegments({ id: 'account', values: { ...values, password: 'wrong' } });
    assert.deepEqual([answer.status, (answer.body as any).result], [502, 'wrongPassword']);
  });

  it('refuses an invalid request', async () => {
    for (const body of [null, 'x', {}, { id: 1, values: {} }, { id: 'a', values: [] }]) {
      assert.equal((await its.forms.formSegments(body)).status, 400);
    }
  });

  it('is read through an account in a subflow, with the values of its instance', async () => {
    const url = await its.start();
    const account = customAccount('${URL}');
    const flow = inSubflow([account], [{ name: 'URL', value: url, type: 'str' }]);
    await load(flow, login(rightPassword));
    assert.equal((await page('account')).total, 15);
  });

  it('is read through the account that a variable of the flow names for the builder', async () => {
    const url = await its.start();
    const builder = {
      id: 'builder',
      type: 'xandr-segment-builder',
      account: '${ACC}',
      userId: 'payload.user',
      segments: [{ segment: '10001' }],
      ...{ x: 0, y: 0, wires: [] },
    };
    const flow = inSubflow([builder], [{ name: 'ACC', value: 'account', type: 'str' }]);
    await load([customAccount(url), ...flow], login(rightPassword));
    assert.equal((await page('${ACC}', { node: 'builder' })).total, 15);
    assert.equal((await page('${ACC}', { node: 'account' })).result, 'notDeployed');
  });

  it('is read through the login of a deployed account, once for a while', async () => {
    const url = await its.start({ segments: many(1234) });
    await load([customAccount(url)], login(rightPassword));
    const first = await page('account');
    assert.equal(first.segments.length, 50);
    assert.equal(first.total, 1234);
    // The whole list comes behind the first answer; before that, the service is searched for at most 500.
    const beyond = { search: 'name', start: '600' };
    while ((await page('account', beyond)).segments.length === 0) await sleep(20);
    let all = await page('account', { search: 'name' });
    const seen = names(all);
    while (all.next !== null) {
      all = await page('account', { search: 'name', start: String(all.next) });
      seen.push(...names(all));
    }
    assert.equal(new Set(seen).size, 1234);
    assert.deepEqual(names(await page('account', { search: '20777' })), ['Name 00777']);
    assert.equal(its.sandbox!.peaks().totals.authentications, 1, 'one login for all of it');
  });

  it('uses the running account’s login, and gets over a token that died', async () => {
    const url = await its.start();
    const out = new Flow();
    await load([customAccount(url), ...out.nodes()], login(rightPassword), out);
    await out.send({ payload: entry(1) });
    its.sandbox!.faults.killTokens();
    assert.equal((await page('account')).total, 15);
    assert.equal(its.sandbox!.peaks().totals.authentications, 2);
  });

  it('give the reason for a missing list, in the words of the test', async () => {
    const url = await its.start();
    await load([customAccount(url)], login('wrong'));
    const refused = await its.forms.segments('account', {});
    assert.deepEqual([refused.status, (refused.body as any).result], [502, 'wrongPassword']);
    checkWords(refused.body);
    await unload();
    await load([customAccount(url, { member: '' })], login(rightPassword));
    assert.equal((await page('account')).problem.key, 'error.member_missing');
  });
});
