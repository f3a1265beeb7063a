// User actions in the editor, with mouse and keyboard: drag nodes in, wire them, fill in forms, deploy.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { openEditor, reloadEditor, type Pages } from '../support/browser';
import { until, type NodeRed, type Start } from '../support/node-red';

export type Theme = 'light' | 'dark';

/** Something that the page holds by id; typed as it comes out of the editor. */
type SavedNode = Record<string, unknown> & { id: string; type: string };

/** What an editor that is open can start with again. */
export type NewStart = Required<Pick<Start, 'flows'>> &
  Pick<Start, 'credentials'> & { readonly size?: typeof usualSize };

/** The window, unless a suite needs another one. */
const usualSize = { width: 1400, height: 900 };

/** The editor of a running Node-RED, and what is done in it. */
export class Editor {
  private constructor(
    readonly page: Page,
    readonly errors: Error[],
    private readonly nodeRed: NodeRed,
  ) {}

  static async open(
    browser: Pages,
    nodeRed: NodeRed,
    size = usualSize,
    locale = 'en-US',
    language: string | null = null,
  ): Promise<Editor> {
    const { page, errors } = await openEditor(browser, nodeRed.url, size, locale, language);
    // The editor catches what a validator throws, and only says so here.
    page.on('console', (message) => {
      if (/^(Validation|Definition) error/.test(message.text())) errors.push(new Error(message.text()));
    });
    return new Editor(page, errors, nodeRed);
  }

  /** Other flows, in an editor that remembers nothing. */
  async startAgain({ flows, credentials = {}, size = usualSize }: NewStart): Promise<void> {
    await this.nodeRed.deploy(flows.map((node) => ({ ...node, credentials: credentials[node.id] })));
    await this.page.setViewportSize(size);
    await reloadEditor(this.page);
    this.errors.splice(0);
  }

  // ── The canvas ──────────────────────────────────────────────────────────────────────────────────────────────

  /** Drags a node from the palette to a place of the canvas, onto a group or a wire, and gives its id. */
  async drag(type: string, x: number, y: number, onto: 'group' | 'wire' | null = null): Promise<string> {
    const { page } = this;
    const before = await this.ids();
    const entry = page.locator(`.red-ui-palette-node[data-palette-type="${type}"]`);
    await entry.scrollIntoViewIfNeeded();
    const from = await middleOf(entry);
    const chart = (await page.locator('#red-ui-workspace-chart').boundingBox())!;
    await page.mouse.move(from.x, from.y);
    await page.mouse.down();
    await page.mouse.move(from.x + 20, from.y + 5);
    await page.mouse.move(chart.x + x, chart.y + y, { steps: 5 });
    const mark = onto === 'group' ? '.red-ui-flow-group-hovered' : '.red-ui-flow-link-splice';
    if (onto !== null) await page.locator(mark).waitFor({ state: 'attached' });
    await page.mouse.up();
    let id: string | undefined;
    await until(
      async () => {
        const added = (await this.all()).find((node) => node.type === type && !before.includes(node.id));
        return (id = added?.id) !== undefined;
      },
      5000,
      `a ${type} on the canvas`,
    );
    return id!;
  }

  /** Draws a wire from an output (from 0) to an input. */
  async wire(from: string, output: number, to: string): Promise<void> {
    const start = await middleOf(this.nodeOnCanvas(from).locator('.red-ui-flow-port-output').nth(output));
    const end = await middleOf(this.nodeOnCanvas(to).locator('.red-ui-flow-port-input'));
    await this.page.mouse.move(start.x, start.y);
    await this.page.mouse.down();
    await this.page.mouse.move((start.x + end.x) / 2, (start.y + end.y) / 2, { steps: 4 });
    await this.page.mouse.move(end.x, end.y, { steps: 4 });
    await this.page.mouse.up();
    await until(
      async () => ((await this.saved(from)).wires as string[][])[output]!.includes(to),
      5000,
      `a wire from output ${output} of ${from}`,
    );
  }

  nodeOnCanvas(id: string): Locator {
    return this.page.locator(`[id="${id}"]`);
  }

  async labelOf(id: string): Promise<string> {
    const lines = this.nodeOnCanvas(id).locator('.red-ui-flow-node-label text');
    return (await lines.allTextContents()).join(' ').replace(/\s+/g, ' ').trim();
  }

  async ids(): Promise<string[]> {
    return (await this.all()).map(({ id }) => id);
  }

  async all(): Promise<SavedNode[]> {
    return this.page.evaluate('RED.nodes.createCompleteNodeSet()');
  }

  async saved(id: string): Promise<SavedNode> {
    return (await this.all()).find((node) => node.id === id)!;
  }

  /** What the red triangles say, by type. */
  async complaints(): Promise<string[]> {
    return this.page.evaluate(complaintsInPage);
  }

  // ── Forms ───────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Selects the node and presses Enter. A double click is one for Node-RED only when it handles both clicks within
   * 650 ms, which a busy machine does not promise.
   */
  async edit(id: string): Promise<void> {
    await this.nodeOnCanvas(id).locator('.red-ui-flow-node').waitFor();
    await this.page.evaluate(`RED.view.select('${id}'); RED.view.focus()`);
    await this.page.keyboard.press('Enter');
    await this.formOpened();
  }

  /** The form of a configuration node that is on the workspace already. */
  async editConfig(id: string): Promise<void> {
    await this.page.evaluate(
      `RED.editor.editConfig('', ${JSON.stringify((await this.saved(id)).type)}, '${id}')`,
    );
    await this.formOpened();
  }

  /**
   * The tray slides in, and a while later the editor moves the focus to its first field. Before both have happened a
   * click may miss, and keys that somebody presses in another field may end up in the first one.
   */
  async formOpened(): Promise<void> {
    await this.page.locator('.instant-audience-form:visible').waitFor();
    await this.page.waitForFunction(trayArrived);
    await this.page.waitForFunction(focusArrived);
  }

  /** A form that was below another one slides back; the editor leaves the focus alone. */
  private async formReturned(): Promise<void> {
    await this.page.locator('.instant-audience-form:visible').waitFor();
    await this.page.waitForFunction(trayArrived);
  }

  /** Done, Update or Add; what was open below comes to the front. */
  async done(): Promise<void> {
    await this.leave('ok');
  }

  async cancel(): Promise<void> {
    await this.leave('cancel');
  }

  private async leave(button: 'ok' | 'cancel'): Promise<void> {
    const { page } = this;
    await page.evaluate("$('.red-ui-tray:visible').last().attr('data-leaving', '')");
    await page
      .locator(`#node-dialog-${button}:visible, #node-config-dialog-${button}:visible`)
      .last()
      .click();
    await page.locator('[data-leaving]').waitFor({ state: 'detached' });
    if ((await page.locator('.red-ui-tray').count()) > 0) await this.formReturned();
  }

  /** Opens a tab inside the form. */
  async openTab(name: string): Promise<void> {
    const form = this.page.locator('.instant-audience-form:visible').last();
    await form.getByRole('tab', { name, exact: true }).click();
  }

  /** Field and label belong together, so the label finds the field. */
  field(label: string): Locator {
    const form = this.page.locator('.instant-audience-form:visible').last();
    return form.getByLabel(label, { exact: true }).locator('visible=true');
  }

  // ── Running ─────────────────────────────────────────────────────────────────────────────────────────────────

  async deploy(): Promise<void> {
    await this.nodeRed.deployedBy(async () => {
      await this.page.locator('#red-ui-header-button-deploy').click();
      await this.page.waitForFunction('!RED.nodes.dirty()');
    });
  }

  /** Node-RED 5 has a dark theme of its own; for 4.1 one that its users install is put in place. */
  async setTheme(theme: Theme): Promise<void> {
    await this.page.evaluate(themeInPage, {
      theme,
      isOwn: this.nodeRed.version === '5',
      colours: darkTheme(),
    });
  }

  assertNoErrors(): void {
    assert.deepEqual(
      this.errors.map(({ stack, message }) => stack ?? message),
      [],
    );
  }
}

export async function middleOf(place: Locator): Promise<{ x: number; y: number }> {
  const box = await place.boundingBox();
  if (box === null) throw new Error('It is not to be seen.');
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

// ── In the page ───────────────────────────────────────────────────────────────────────────────────────────────

function complaintsInPage(): string[] {
  const { RED } = globalThis as any;
  const found: string[] = [];
  const look = (node: any): void => {
    if (node.valid === false) found.push(`${node.type}: ${(node.validationErrors ?? []).join('; ')}`);
  };
  RED.nodes.eachNode(look);
  RED.nodes.eachConfig(look);
  return found;
}

/** Whether the front tray is where it slides to. */
function trayArrived(): boolean {
  const { document, getComputedStyle } = globalThis as any;
  const trays = document.querySelectorAll('.red-ui-tray');
  return trays.length > 0 && getComputedStyle(trays[trays.length - 1]).right === '0px';
}

/** Whether the editor has moved the focus into the front tray. */
function focusArrived(): boolean {
  const { document } = globalThis as any;
  const trays = document.querySelectorAll('.red-ui-tray');
  return trays.length > 0 && trays[trays.length - 1].contains(document.activeElement);
}

function themeInPage({ theme, isOwn, colours }: { theme: Theme; isOwn: boolean; colours: string }): void {
  const { document, CSSTransition } = globalThis as any;
  document.documentElement.classList.toggle('nr-theme-dark', isOwn && theme === 'dark');
  document.getElementById('dark-for-tests')?.remove();
  if (!isOwn && theme === 'dark') {
    const style = document.createElement('style');
    style.id = 'dark-for-tests';
    style.textContent = colours;
    document.head.append(style);
  }
  // Colours that change slowly would be measured half way.
  for (const one of document.getAnimations()) if (one instanceof CSSTransition) one.finish();
}

/** Node-RED 4.1 has no dark theme; this is the one that its users install, as its package links it into the page. */
function darkTheme(): string {
  const folder = path.join(
    __dirname,
    ...['..', '..', 'node_modules', '@node-red-contrib-themes', 'theme-collection', 'themes', 'dark'],
  );
  return ['dark.min.css', 'dark-custom.min.css']
    .map((file) => readFileSync(path.join(folder, file), 'utf8'))
    .join('\n');
}
