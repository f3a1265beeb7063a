// Selects the declarations in the package: those that a compiler reads for an import of an entry point.
import { readFile, readdir, rm } from 'node:fs/promises';
import path from 'node:path';

/** Relative paths of `from './x'`, `import('./x')` and `require('./x')` in a declaration. */
const imports = /(?:from|import|require)\s*\(?\s*['"](\.[^'"]+)['"]/g;

async function reachableFrom(entries) {
  const reached = new Set();
  const waiting = [...entries];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (reached.has(file)) continue;
    reached.add(file);
    for (const [, to] of (await readFile(file, 'utf8')).matchAll(imports))
      waiting.push(path.resolve(path.dirname(file), `${to.replace(/\.js$/, '')}.d.ts`));
  }
  return reached;
}

/**
 * Deletes all declarations below `dist` that no entry point reaches: those of nodes and of internal modules. Fails if
 * an entry point, or a declaration that it imports, is missing.
 *
 * @param exports `exports` of package.json
 */
export async function keepPublicDeclarations(root, dist, exports) {
  const entries = Object.values(exports).flatMap(({ types }) => (types ? [path.join(root, types)] : []));
  const reached = await reachableFrom(entries);
  const files = await readdir(dist, { recursive: true });
  const others = files
    .filter((file) => file.endsWith('.d.ts'))
    .map((file) => path.join(dist, file))
    .filter((file) => !reached.has(file));
  await Promise.all(others.map((file) => rm(file)));
}
