// Flows and entries for the tests and pictures of the sidebar tab.
import type { Page } from 'playwright-core';
import type { FlowNode, NodeRed } from '../support/node-red';

/** One account with an out node that takes what is posted to `/NAME`. */
export function accountFlow(name: string, more: Readonly<Record<string, unknown>> = {}, at = 0): FlowNode[] {
  const place = { z: 'tab', y: 60 + 60 * at };
  return [
    { id: `account-${name}`, type: 'xandr-account', name, environment: 'sandbox', ...more },
    {
      ...place,
      id: `in-${name}`,
      type: 'http in',
      x: 100,
      url: `/${name}`,
      method: 'post',
      wires: [[`out-${name}`, `ok-${name}`]],
    },
    {
      ...place,
      id: `out-${name}`,
      type: 'xandr-instant-audience-out',
      name,
      x: 340,
      account: `account-${name}`,
      completeOn: 'queued',
      wires: [[], [`rejected-${name}`]],
    },
    { ...place, id: `rejected-${name}`, type: 'junction', x: 480, wires: [[]] },
    { ...place, id: `ok-${name}`, type: 'http response', x: 560, statusCode: '', headers: {} },
  ];
}

export const tab: FlowNode = { id: 'tab', type: 'tab', label: 'sidebar' };

export const deviceId = (number: number): string =>
  `1ba98a6c-d1a5-49ef-ad1c-${String(number).padStart(12, '0')}`;

/** Adds of so many users from this number on, a message for each thousand. */
export async function postUsers(nodeRed: NodeRed, name: string, from: number, count: number): Promise<void> {
  for (let at = 0; at < count; at += 1000) {
    const entries = Array.from({ length: Math.min(1000, count - at) }, (_, index) => {
      const number = from + at + index;
      return {
        user_id: deviceId(number),
        domain: 'idfa',
        seg_block: [{ seg_id: 10001 + (number % 4), value: number % 7, expiration: 43_200 }],
      };
    });
    const { status } = await nodeRed.post(name, entries);
    if (status !== 200) throw new Error(`The events for ${name} were answered with ${status}.`);
  }
}

/** Opens the tab as the menu and its shortcut do. */
export async function openTab(page: Page): Promise<void> {
  await page.evaluate("RED.sidebar.show('instant-audience')");
  await page.locator('.instant-audience-tab').waitFor();
}
