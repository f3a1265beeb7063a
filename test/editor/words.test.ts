// Forms and words: every key of the scripts has a word, every field a label, and icons and colours exist. The keys of the forms: test/process/palette.test.ts.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { bundleOf, load, lookUp, read, wordsOf } from './bundle';

const style = read('shared', 'editor/style.ts');
const icons = path.join(__dirname, '..', '..', 'icons');

/** Saved, but not shown: what they do comes later. */
const hidden: Record<string, string[]> = {
  account: [],
  'instant-audience-out': [],
  // Rows and boxes are made by the script.
  'segment-builder': ['segments', 'consentPurposes'],
  'audience-usage': [],
  // The name of the segment that was picked; boxes that the script makes.
  'audience-sync': ['segmentName', 'consentPurposes'],
};
const prefix: Record<string, string> = {
  account: 'node-config-input-',
  'instant-audience-out': 'node-input-',
  'segment-builder': 'node-input-',
  'audience-usage': 'node-input-',
  'audience-sync': 'node-input-',
};

function all(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1]!);
}

function visit(node: ts.Node, see: (node: ts.Node) => void): void {
  see(node);
  ts.forEachChild(node, (child) => visit(child, see));
}

function parse(code: string): ts.SourceFile {
  return ts.createSourceFile('editor.js', code, ts.ScriptTarget.ES2022, true);
}

/** Texts of the script that have the shape of a word's key, icons aside. */
function keysOf(code: string): string[] {
  const keys: string[] = [];
  visit(parse(code), (node) => {
    if (ts.isStringLiteral(node) && /^[a-z]\w*\.\w+$/i.test(node.text) && !node.text.endsWith('.svg')) {
      keys.push(node.text);
    }
  });
  return keys;
}

/** The object given to registerType, as something that only reads the text sees it. */
function registeredLiteral(code: string): { type: string; definition: ts.ObjectLiteralExpression } {
  const found: { type: string; definition: ts.ObjectLiteralExpression }[] = [];
  visit(parse(code), (node) => {
    if (ts.isCallExpression(node) && node.expression.getText() === 'RED.nodes.registerType') {
      const [type, definition] = node.arguments;
      assert.ok(type && ts.isStringLiteral(type) && definition && ts.isObjectLiteralExpression(definition));
      found.push({ type: type.text, definition });
    }
  });
  assert.equal(found.length, 1);
  return found[0]!;
}

function member(literal: ts.ObjectLiteralExpression, name: string): ts.Expression | undefined {
  const property = literal.properties.find((one) => one.name?.getText() === name);
  return property && ts.isPropertyAssignment(property) ? property.initializer : undefined;
}

function isWritten(value: ts.Expression | undefined): boolean {
  return (
    value !== undefined &&
    (ts.isStringLiteral(value) ||
      ts.isNumericLiteral(value) ||
      value.kind === ts.SyntaxKind.TrueKeyword ||
      value.kind === ts.SyntaxKind.FalseKeyword)
  );
}

for (const node of [
  'account',
  'instant-audience-out',
  'segment-builder',
  'audience-usage',
  'audience-sync',
]) {
  describe(`the ${node} node's form, words and help`, () => {
    const form = read(node, 'form.html');
    const help = read(node, 'help/en-US.md');
    const words = wordsOf(node);
    const code = bundleOf(node);
    const { definition } = load(node);
    const ids = all(form, /\sid="([^"]+)"/g);

    it('gives Node-RED validators of two parameters, without which a sentence counts as valid', () => {
      for (const [name, { validate }] of Object.entries({
        ...definition.defaults,
        ...definition.credentials,
      }))
        assert.ok(validate === undefined || validate.length === 2, name);
    });

    it('has a word for every key of the editor script', () => {
      // The builder's keys have another level in front, and a test of their own that finds them in the sources.
      if (node === 'segment-builder') return;
      // Rows are mapped by the builder's schema, whose defaults are no keys.
      const keys = keysOf(code).filter((key) => !key.startsWith('payload.'));
      assert.ok(keys.length > 5);
      for (const key of keys) {
        assert.ok(lookUp(words, key), key);
      }
    });

    it('has the strings for palette search and the public catalogue in its script', () => {
      const literal = registeredLiteral(code);
      assert.equal(literal.type, `xandr-${node}`);
      for (const name of ['category', 'color', 'icon', 'paletteLabel']) {
        assert.ok(isWritten(member(literal.definition, name)), name);
      }
      const defaults = member(literal.definition, 'defaults');
      assert.ok(defaults && ts.isObjectLiteralExpression(defaults));
      for (const name of Object.keys(definition.defaults)) {
        const property = member(defaults, name);
        assert.ok(property && ts.isObjectLiteralExpression(property), name);
        const value = member(property, 'value');
        assert.ok(isWritten(value) || (value !== undefined && ts.isArrayLiteralExpression(value)), name);
      }
    });

    it('has an icon of its own, white on transparent, in the shape that Node-RED requires', () => {
      const file = path.join(icons, definition.icon);
      assert.ok(existsSync(file), definition.icon);
      const svg = readFileSync(file, 'utf8');
      assert.match(svg, /^<svg width="40" height="60" viewBox="0 0 40 60"/);
      assert.deepEqual([...new Set(all(svg, /fill="([^"]+)"/g))], ['#fff']);
    });

    it('shows every saved property and credential, but those whose function comes later', () => {
      const saved = [...Object.keys(definition.defaults), ...Object.keys(definition.credentials ?? {})];
      const shown = saved.filter((name) => ids.includes(`${prefix[node]}${name}`));
      assert.deepEqual(
        saved.filter((name) => !shown.includes(name)),
        hidden[node],
      );
    });

    it('labels every field', () => {
      const fields = all(form, /<(?:input|select|textarea)\b[^>]*?\sid="([^"]+)"/g);
      const labelled = all(form, /<label\b[^>]*?\sfor="([^"]+)"/g);
      const typeFields = fields.filter((id) => id.endsWith('Type'));
      assert.deepEqual(
        fields.filter((id) => !labelled.includes(id)),
        typeFields,
      );
      assert.equal(all(form, /(<label\b)/g).length, labelled.length, 'a label without for');
      const describing = all(form, /aria-describedby="([^"]+)"/g).flatMap((list) => list.split(' '));
      for (const id of [...labelled, ...describing]) {
        assert.ok(ids.includes(id), id);
      }
      assert.equal(new Set(ids).size, ids.length, 'an id is used twice');
    });

    it("uses only the colours of Node-RED's themes", () => {
      assert.doesNotMatch(form, /#[0-9a-f]{3,8}\b|rgba?\(|hsl/i);
      const colours = /(?:color|background|border(?!-radius)(?:-\w+)?|outline(?!-offset)):\s*([^;]+);/g;
      // Our own are two of the theme's, mixed.
      const mixed =
        /(--instant-audience-[\w-]+): color-mix\(in srgb, var\(--red-ui-[\w-]+\)(?: \d+%)?, var\(--red-ui-[\w-]+\)\);/g;
      const own = new Set(all(style, mixed));
      assert.equal(own.size, all(style, /^ *(--instant-audience-[\w-]+):/gm).length);
      for (const css of [form, style]) {
        for (const value of all(css, colours)) {
          assert.match(value, /^(0|(\dpx solid )?var\(--(red-ui|instant-audience)-[\w-]+\))( !important)?$/);
        }
        for (const used of all(css, /var\((--instant-audience-[\w-]+)\)/g)) assert.ok(own.has(used), used);
      }
    });

    it('has the sections that Node-RED help has, and an example that is JSON', () => {
      for (const section of ['Inputs', 'Outputs', 'Details', 'References']) {
        assert.match(help, new RegExp(`^### ${section}$`, 'm'));
      }
      const examples = all(help, /```json\n([\s\S]+?)```/g);
      assert.ok(examples.length > 0);
      examples.forEach((example) => assert.ok(JSON.parse(example)));
    });
  });
}
