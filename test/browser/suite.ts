// Suites with an editor: a Node-RED and a browser of their own, or those that the suites of this process share.
import type { Page } from 'playwright-core';
import { needBrowser, openBrowser, picture, type Pages } from '../support/browser';
import { cleanUps } from '../support/clean-up';
import { NodeRed, nodeRedVersion, type Start } from '../support/node-red';
import type { Ends } from '../support/services';
import { Editor, type NewStart } from './editor';

/** A Node-RED and a browser, which start at the same time; where one does not start, the other is ended. */
export async function startBoth(start: Start = {}): Promise<[NodeRed, Pages]> {
  const [nodeRed, browser] = await Promise.allSettled([NodeRed.start(start), openBrowser()]);
  if (nodeRed.status === 'fulfilled' && browser.status === 'fulfilled') return [nodeRed.value, browser.value];
  if (nodeRed.status === 'fulfilled') await nodeRed.value.stop();
  if (browser.status === 'fulfilled') await browser.value.close();
  throw nodeRed.status === 'rejected' ? nodeRed.reason : (browser as PromiseRejectedResult).reason;
}

/** How the browser shows the editor. */
interface Look {
  readonly size?: { readonly width: number; readonly height: number };
  readonly locale?: string;
}

/** Of one suite. */
interface Opened {
  readonly nodeRed: NodeRed;
  readonly browser: Pages;
  readonly editor: Editor;
  readonly page: Page;
}

/** Of all suites of this process that share one. */
let shared: Opened | undefined;

after(async () => {
  if (shared !== undefined) await end(shared);
});

async function end({ browser, nodeRed }: Pick<Opened, 'browser' | 'nodeRed'>): Promise<void> {
  await Promise.all([browser.close(), nodeRed.stop()]);
}

/** None of our forms has a code editor, and Monaco takes a third of the CPU time of loading the editor. */
const withoutMonaco = { editorTheme: { codeEditor: { lib: 'ace' } } };

async function openBoth({ size, locale, ...start }: Start & Look): Promise<Opened> {
  const settings = { ...withoutMonaco, ...start.settings };
  const [nodeRed, browser] = await startBoth({ ...start, settings });
  try {
    const editor = await Editor.open(browser, nodeRed, size, locale);
    return { nodeRed, browser, editor, page: editor.page };
  } catch (error) {
    await end({ browser, nodeRed });
    throw error;
  }
}

/**
 * Call in a suite with an editor, whose `before` calls `open` for a Node-RED of its own, or `share` where it does not matter what
 * earlier suites have sent. A test that fails leaves a picture, one that leaves an error in the page fails, and what was opened or
 * handed to `ends` is ended.
 */
export function editorSuite(): {
  readonly ends: Ends;
  readonly open: (context: Mocha.Context, start?: Start & Look) => Promise<Opened>;
  readonly share: (context: Mocha.Context, start: NewStart) => Promise<Opened>;
} {
  const ends = cleanUps();
  let editor: Editor | undefined;
  afterEach(async function () {
    const { state, title } = this.currentTest!;
    const name = title.replace(/\W+/g, '-').slice(0, 40);
    if (state === 'failed' && editor !== undefined)
      await picture(editor.page, `failed-${nodeRedVersion}-${name}`);
    editor?.assertNoErrors();
  });
  const open = async (context: Mocha.Context, start: Start & Look = {}): Promise<Opened> => {
    needBrowser(context);
    const opened = await openBoth(start);
    ends(() => end(opened));
    editor = opened.editor;
    return opened;
  };
  const share = async (context: Mocha.Context, start: NewStart): Promise<Opened> => {
    needBrowser(context);
    if (shared === undefined) shared = await openBoth(start);
    else await shared.editor.startAgain(start);
    editor = shared.editor;
    return shared;
  };
  return { ends, open, share };
}
