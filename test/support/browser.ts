// A headless Chromium for the tests of the editor, found where machines have it.
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';

const candidates = [
  process.env.CHROMIUM_PATH,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** Where Chromium is, or undefined. `CHROMIUM_PATH` comes first. */
export const chromiumPath = candidates.find((file) => file !== undefined && existsSync(file));

/** For a suite that needs a browser: skips it where there is none, and says so. */
export function needBrowser(test: Mocha.Context): void {
  if (chromiumPath !== undefined) return;
  console.log('      no Chromium found (CHROMIUM_PATH names one): the tests of the editor are skipped');
  test.skip();
}

/** The one Chromium of this process, and how many suites use it: to start one costs as much as to load the editor. */
let running: Promise<Browser> | undefined;
let users = 0;
/** The next suite may come soon. */
const keptMs = 3_000;

/** Pages of a suite, each with its own cookies and storage. `close()` them in the end, whatever happened. */
export class Pages {
  private readonly opened: Page[] = [];

  constructor(readonly browser: Browser) {}

  async newPage(options: BrowserContextOptions): Promise<Page> {
    const page = await this.browser.newPage(options);
    this.opened.push(page);
    return page;
  }

  async close(): Promise<void> {
    await Promise.all(this.opened.splice(0).map((page) => page.close()));
    users -= 1;
    void closeUnused();
  }
}

async function closeUnused(): Promise<void> {
  await sleep(keptMs);
  if (users > 0 || running === undefined) return;
  const unused = running;
  running = undefined;
  await (await unused).close();
}

export async function openBrowser(): Promise<Pages> {
  users += 1;
  try {
    const before = running;
    // One that crashed under another suite is no reason to fail here.
    if (before !== undefined && !(await before).isConnected() && running === before) running = undefined;
    running ??= launch();
    return new Pages(await running);
  } catch (error) {
    users -= 1;
    running = undefined;
    throw error;
  }
}

async function launch(): Promise<Browser> {
  if (chromiumPath === undefined) throw new Error('No Chromium found; CHROMIUM_PATH can name one.');
  return chromium.launch({
    executablePath: chromiumPath,
    args: [
      '--no-sandbox',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-gpu',
    ],
  });
}

/**
 * The editor, loaded, with its palette complete and nothing over it. Page errors fail whoever reads `errors`.
 *
 * @param locale the language that the browser asks for
 * @param language the one that was chosen in the editor, if any
 */
export async function openEditor(
  browser: Pages,
  url: string,
  size = { width: 1400, height: 800 },
  locale = 'en-US',
  language: string | null = null,
): Promise<{ page: Page; errors: Error[] }> {
  const page = await browser.newPage({ viewport: size, locale });
  const errors: Error[] = [];
  page.on('pageerror', (error) => errors.push(error));
  // The compiler of the tests wraps functions in a call of this name, also those that are sent into the page.
  await page.addInitScript('globalThis.__name = (call) => call');
  // As chosen in the settings of the editor: over Node-RED's own.
  if (language !== null) await page.addInitScript(`localStorage.setItem('editor-language', '${language}')`);
  await page.goto(url);
  await page.waitForSelector('.red-ui-palette-node', { timeout: 30_000 });
  await page.waitForSelector('#red-ui-loading-progress', { state: 'hidden', timeout: 30_000 });
  return { page, errors };
}

/** A picture for the person who looks into a failed run: `.test/NAME.png`. */
export async function picture(page: Page, name: string): Promise<string> {
  const file = path.join(__dirname, '..', '..', '.test', `${name}.png`);
  await mkdir(path.dirname(file), { recursive: true });
  await page.screenshot({ path: file });
  return file;
}
