// Not beside the tests that the mutants are for: there, every mutant would fail it.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

interface Mutant {
  readonly name: string;
  readonly changes: readonly {
    readonly file: string;
    readonly find: string;
    readonly replace: string;
    readonly times?: number;
  }[];
}

const root = path.join(__dirname, '..', '..');

describe('scripts/mutants-list.mjs', () => {
  it('breaks code that is there', () => {
    const { mutants } = createRequire(__filename)('../../scripts/mutants-list.mjs') as {
      mutants: readonly Mutant[];
    };
    assert.ok(mutants.length > 50, `${mutants.length} mutants`);
    for (const { name, changes } of mutants) {
      for (const { file, find, times = 1 } of changes) {
        const found = readFileSync(path.join(root, file), 'utf8').split(find).length - 1;
        assert.equal(found, times, `"${name}" in ${file}; adapt it to the code: ${find}`);
      }
    }
  });
});
