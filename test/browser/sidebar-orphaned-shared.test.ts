// An orphaned shared queue in the tab "Audience" of a real editor: listed, purged.
import { strict as assert } from 'node:assert';
import type { Page } from 'playwright-core';
import { leftOrigin, takeForMember } from '../support/orphaned-shared-queue';
import { ownPostgres, type OwnDatabase } from '../support/services';
import { accountFlow, deviceId, openTab, tab } from './sidebar-flows';
import { editorSuite } from './suite';

const devices = [1, 2, 3].map(deviceId);

describe('a shared queue that is left, in the tab Audience', function () {
  this.timeout(120_000);
  const suite = editorSuite();
  let database: OwnDatabase;
  let page: Page;

  before(async function () {
    database = await ownPostgres(this, suite.ends, 'audience_left_browser_test');
    const log = await takeForMember(database.url, '8', devices);
    await log.close({ id: 'gone', name: 'gone' });
    ({ page } = await suite.open(this, {
      flows: [tab, ...accountFlow('together', { queue: 'shared', databaseBy: 'url', member: '7' })],
      credentials: { 'account-together': { databaseUrl: database.url } },
      size: { width: 1400, height: 1200 },
    }));
    await openTab(page);
  });

  it('is listed by service, member and database, and purged when it was asked twice', async () => {
    const part = page
      .locator('.instant-audience-tab section')
      .filter({ hasText: 'Queues that no account uses' });
    await part.waitFor();
    await part.locator('.instant-audience-head').click();
    const row = part.locator('li');
    await row.waitFor();
    const { hostname, pathname } = new URL(database.url);
    const name = await row.locator('p').first().innerText();
    for (const shown of [leftOrigin, 'member 8', hostname, pathname.slice(1)])
      assert.ok(name.includes(shown), `${shown} in ${name}`);
    assert.match(await row.locator('p').nth(1).innerText(), /^Pending entries: 3,/);
    await part.getByRole('button', { name: /^Purge/ }).click();
    await page.getByRole('button', { name: 'Purge it' }).click();
    await page.locator('.red-ui-notification', { hasText: 'Purged. Discarded entries: 3.' }).waitFor();
    // Nothing is left, so the part goes.
    await part.waitFor({ state: 'hidden' });
  });
});
