// Which declarations are shipped: those that the compiler of a program reads when it imports an entry point.
import { readFile, readdir, rm } from 'node:fs/promises';
import path from 'node:path';

/** `from './x'`, `import('./x')` and `require('./x')` of a declaration; what is not relative is another package's. */
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
 * Deletes all other declarations below `dist`: those of the nodes, which nobody imports, and of what the entry points
 * keep to themselves. `exports` is that of package.json. An entry point, or what one imports, that is not there is
 * an error.
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
