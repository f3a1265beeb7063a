// The package in a real Node-RED: types, words, help, icons and examples as the editor gets them.
import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import semver from 'semver';
import { cleanUps } from '../support/clean-up';
import { nodeJs } from '../support/node-js';
import { NodeRed, nodeJsLine, nodeRedVersion, packedPackage } from '../support/node-red';
import { manifest, root, types } from '../package/support';

const languages = ['en-US', 'de', 'ja'];

describe(`the package in the palette of Node-RED ${nodeRedVersion}`, function () {
  this.timeout(120_000);
  const cleanUp = cleanUps();
  let nodeRed: NodeRed;

  before(async () => {
    nodeRed = await NodeRed.start();
    cleanUp(() => nodeRed.stop());
  });

  it('runs on the Node.js that its users have', async function () {
    // Without a registry it is the Node.js of the tests.
    if (nodeJsLine !== 24 && (await nodeJs(nodeJsLine)) === process.execPath) this.skip();
    const { nodejs } = await nodeRed.json('diagnostics');
    assert.equal(semver.major(nodejs.version), nodeJsLine);
  });

  const setPath = (type: string): string => `nodes/${manifest.name}/${type}`;
  const htmlOf = (type: string, language = 'en-US'): Promise<string> =>
    nodeRed.text(setPath(type), { headers: { accept: 'text/html', 'accept-language': language } });

  it('registers every type without an error', async () => {
    const sets = (await nodeRed.json('nodes')).filter((set: any) => set.module === manifest.name);
    assert.deepEqual(sets.flatMap((set: any) => set.types).sort(), [...types].sort());
    for (const set of sets) {
      assert.equal(set.err, undefined);
      assert.equal(set.enabled, true);
      assert.equal(set.version, manifest.version);
    }
    assert.doesNotMatch(nodeRed.output, /\[(error|fatal)\]/);
  });

  it('gives the editor a form and help for each type', async () => {
    for (const type of types) {
      const html = await htmlOf(type);
      const form = new RegExp(`data-template-name="${type}">([\\s\\S]*?)</script>`).exec(html)?.[1];
      const help = new RegExp(`data-help-name="${type}">([\\s\\S]*?)</script>`).exec(html)?.[1];
      assert.match(form ?? '', /<input/, `${type} has no form`);
      assert.match(help ?? '', /<p>/, `${type} has no help`);
      // Languages that have no help of their own get the English one.
      assert.ok((await htmlOf(type, 'tlh')).includes(`data-help-name="${type}"`));
    }
  });

  for (const language of languages) {
    it(`has the words of every key in the forms, and help, in ${language}`, async () => {
      const core = await nodeRed.json(`locales/node-red?lng=${language}`);
      const missing: string[] = [];
      for (const type of types) {
        const words = await nodeRed.json(`locales/${manifest.name}/${type}?lng=${language}`);
        const html = await htmlOf(type, language);
        const keys = keysOf(html);
        assert.ok(keys.length > 0, `the form of ${type} has no words`);
        for (const key of keys) {
          const isCore = key.startsWith('node-red:');
          const word = look(isCore ? core : words, isCore ? key.slice('node-red:'.length) : key);
          if (typeof word !== 'string' || word === '') missing.push(`${type}: ${key}`);
        }
        // As they are in the repository, so none of another language stands in for them.
        assert.deepEqual(words, wordsIn(type, language), type);
        assert.equal(html.match(/data-help-name=/g)?.length, 1);
        assert.ok(html.includes(await helpIn(type, language)), `${type} has no help in ${language}`);
      }
      assert.deepEqual(missing, []);
    });
  }

  it('serves each node’s icon', async () => {
    const listed = (await nodeRed.json('icons'))[manifest.name];
    for (const type of types) {
      const icon = /\bicon:\s*["']([^"']+)["']/.exec(await htmlOf(type))?.[1];
      if (icon === undefined || icon.startsWith('font-awesome/')) continue;
      assert.ok(listed.includes(icon), `${icon} of ${type} is not listed`);
      const response = await nodeRed.fetch(`icons/${manifest.name}/${icon}`);
      assert.match(response.headers.get('content-type') ?? '', /^image\/svg\+xml/);
      const svg = await response.text();
      assert.match(svg, /<svg/);
      assert.doesNotMatch(svg, /inkscape|sodipodi/);
    }
  });

  it('serves the pages of the documentation that the help links to, with their pictures', async () => {
    for (const type of types) {
      const links = [...(await htmlOf(type)).matchAll(/href="(resources\/[^"#]+)#?([^"]*)"/g)];
      assert.ok(links.length > 0, `the help of ${type} links to no page`);
      for (const [, page, anchor] of links) {
        const html = await nodeRed.text(page!);
        assert.ok(anchor === '' || html.includes(`id="${anchor}"`), `${page} has no #${anchor}`);
        for (const [, image] of html.matchAll(/<img src="([^":]+)"/g))
          assert.equal((await nodeRed.fetch(`${path.dirname(page!)}/${image}`)).status, 200, image);
      }
    }
  });

  it('offers every example, as it is in the package', async () => {
    assert.ok((await nodeRed.json('library/examples/flows/')).includes(manifest.name));
    const list = await nodeRed.json(`library/examples/flows/${manifest.name}`);
    const names = readdirSync(path.join(root, 'examples'))
      .filter((name) => name.endsWith('.json'))
      .map((name) => name.slice(0, -'.json'.length));
    assert.deepEqual(new Set(list.map(({ fn }: { fn: string }) => fn)), new Set(names));
    for (const name of names) {
      const flow = await nodeRed.json(`library/examples/flows/${manifest.name}/${encodeURIComponent(name)}`);
      assert.deepEqual(flow, JSON.parse(readFileSync(path.join(root, 'examples', `${name}.json`), 'utf8')));
    }
  });
});

/** Every key that a form's `data-i18n` attributes name: `[placeholder]label.x;[title]label.y`. */
function keysOf(html: string): string[] {
  return [...html.matchAll(/data-i18n="([^"]+)"/g)]
    .flatMap((match) => match[1]!.split(';'))
    .map((key) => key.replace(/^\[[^\]]*\]/, '').trim())
    .filter((key) => key !== '');
}

function look(words: unknown, key: string): unknown {
  return key.split('.').reduce<any>((level, part) => level?.[part], words);
}

const folderOf = (type: string): string =>
  path.join(root, 'nodes', path.basename(manifest['node-red'].nodes[type]!, '.js'));

function wordsIn(type: string, language: string): unknown {
  const folder = folderOf(type);
  const file = path.join(folder, 'locales', language, `${path.basename(folder)}.json`);
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** The help as it was packed. */
async function helpIn(type: string, language: string): Promise<string> {
  const { template } = await packedPackage();
  const file = path.join(template, 'node_modules', manifest.name, manifest['node-red'].nodes[type]!);
  const name = path.basename(file, '.js');
  return readFileSync(path.join(path.dirname(file), 'locales', language, `${name}.html`), 'utf8').trim();
}
