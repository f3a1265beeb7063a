// docs/examples.md against the examples: each has its part, its picture, its row in the table, and a row of what was measured.
import { strict as assert } from 'node:assert';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

const root = path.join(__dirname, '..', '..');
const docs = path.join(root, 'docs');
const page = readFileSync(path.join(docs, 'examples.md'), 'utf8');
const measured = readFileSync(path.join(docs, 'internals', 'example-runs.md'), 'utf8');
const names = readdirSync(path.join(root, 'examples')).map((file) => path.basename(file, '.json'));

describe('docs/examples.md', () => {
  it('has a part for every example, with a picture of its flow, and for no other', () => {
    const parts = page.split(/^## /m).slice(1);
    const shown: string[] = [];
    for (const part of parts) {
      const file = part.split('\n')[0]!;
      const picture = /^!\[.+\]\((images\/example-.+\.webp)\)$/m.exec(part)?.[1];
      assert.ok(picture !== undefined && existsSync(path.join(docs, picture)), `a picture of ${file}`);
      shown.push(file);
    }
    assert.deepEqual(shown.sort(), [...names].sort());
  });

  it('names every example in its table; docs/internals/example-runs.md says what was measured of every one', () => {
    const missing = names.filter((name) => !page.includes(`\n| [${name}](#`));
    assert.deepEqual(missing, []);
    assert.deepEqual(
      names.filter((name) => !measured.includes(`\n| ${name} `)),
      [],
    );
  });

  it('speaks of no property of a message that the flow does not use', () => {
    for (const part of page.split(/^## /m).slice(1)) {
      const file = part.split('\n')[0]!;
      const flow = readFileSync(path.join(root, 'examples', `${file}.json`), 'utf8');
      for (const [, name] of part.matchAll(/`(\w+): \w+`/g))
        assert.ok(flow.includes(name!), `${file}: ${name}`);
    }
  });

  it('shows every picture of an example that there is', () => {
    const pictures = readdirSync(path.join(docs, 'images')).filter((file) => file.startsWith('example-'));
    assert.deepEqual(
      pictures.filter((file) => !page.includes(`(images/${file})`)),
      [],
    );
  });
});
