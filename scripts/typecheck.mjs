// npm run typecheck: checks the types of runtime, editor part, tests and bench.
import { must, node, tsc } from './tools.mjs';

try {
  const projects = ['tsconfig.runtime.json', 'tsconfig.editor.json', 'test/tsconfig.json'];
  await Promise.all(projects.map((project) => must(node, [tsc, '-p', project, '--noEmit'])));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
