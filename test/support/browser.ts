// A headless Chromium for the tests of the editor: the user's, the one from npm that `scripts/chromium.mjs` unpacks, or one
// that is installed.
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';

const installed = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

function chromiumPath(): string | undefined {
  return [process.env.CHROMIUM_PATH, ...installed].find((file) => file !== undefined && existsSync(file));
}

/** For a suite that needs a browser: skips it where there is none, and says so. */
export function needBrowser(test: Mocha.Context): void {
  if (chromiumPath() !== undefined) return;
  const reason = process.env.NO_CHROMIUM ?? 'no Chromium found, CHROMIUM_PATH can name one';
  console.log(`      ${reason}: the tests of the editor are skipped`);
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
  const executablePath = chromiumPath();
  if (executablePath === undefined) throw new Error('No Chromium found; CHROMIUM_PATH can name one.');
  const libraries = process.env.CHROMIUM_LIBRARIES;
  return chromium.launch({
    executablePath,
    // Root cannot have its sandbox.
    args: ['--no-sandbox'],
    env: { ...process.env, ...(libraries !== undefined && { LD_LIBRARY_PATH: libraries }) },
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
  await editorLoaded(page);
  return { page, errors };
}

/** Loads the editor again in its page, in two thirds of the CPU time of a new one. It remembers nothing. */
export async function reloadEditor(page: Page): Promise<void> {
  await page.evaluate('localStorage.clear()');
  await page.reload();
  await editorLoaded(page);
}

async function editorLoaded(page: Page): Promise<void> {
  await page.waitForSelector('.red-ui-palette-node', { timeout: 30_000 });
  await page.waitForSelector('#red-ui-loading-progress', { state: 'hidden', timeout: 30_000 });
}

/** A picture for the person who looks into a failed run: `.test/NAME.png`. */
export async function picture(page: Page, name: string): Promise<string> {
  const file = path.join(__dirname, '..', '..', '.test', `${name}.png`);
  await mkdir(path.dirname(file), { recursive: true });
  await page.screenshot({ path: file });
  return file;
}
