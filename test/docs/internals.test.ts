// docs/internals against the code: the files and the bugs of the simulation that its pages name are there.
import { strict as assert } from 'node:assert';
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { bugs } from '../simulation/bugs/bugs';

const root = path.join(__dirname, '..', '..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const pages = new Map(
  globSync('docs/internals/*.md', { cwd: root }).map((file) => [path.basename(file), read(file)] as const),
);

describe('docs/internals', () => {
  it('names no file that is not there', () => {
    const ends = ['', '.test.ts', '.long.ts'];
    const named = [...pages].flatMap(([page, text]) =>
      [...text.matchAll(/`((?:src|nodes|test|bench|scripts|docs)\/[\w./-]+)`/g)].map(
        ([, file]) => [page, file!] as const,
      ),
    );
    assert.ok(named.length > 100, `${named.length} files are named`);
    const gone = named.filter(([, file]) => !ends.some((end) => existsSync(path.join(root, file + end))));
    assert.deepEqual(gone, []);
  });

  it('names no bug of the simulation that is not there', () => {
    const names = new Set(bugs.map(({ name }) => name));
    const lists = pages.get('promises.md')!.split('Named bugs:\n').slice(1);
    assert.equal(lists.length, 9);
    for (const list of lists) {
      const named = list.split(/\n(?=#)/)[0]!.match(/(?<=^- ).+$/gm) ?? [];
      assert.deepEqual(
        named.filter((name) => !names.has(name)),
        [],
      );
      assert.ok(named.length > 2);
    }
  });
});
