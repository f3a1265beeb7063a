// The list of files in docs/internals/architecture.md that a message crosses, against those that run when one does.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import path from 'node:path';
import { startSandbox } from '../../src/sandbox/sandbox';
import { customAccount, entry, Flow, load, login, restart, useNodeRed } from '../nodes/out-flow';

const root = path.join(__dirname, '..', '..');
const page = readFileSync(path.join(root, 'docs', 'internals', 'architecture.md'), 'utf8');

interface Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly { readonly ranges: readonly { readonly count: number }[] }[];
  }[];
}

/** The files of the package of which a function ran since it was asked last. */
function filesThatRan(session: Session): string[] {
  const files: string[] = [];
  session.post('Profiler.takePreciseCoverage', (error, taken) => {
    if (error !== null) throw new Error(String(error));
    for (const { url, functions } of (taken as unknown as Coverage).result) {
      const file = path.relative(root, url.replace(/^file:\/\//, ''));
      const ran = functions.some(({ ranges }) => ranges[0]!.count > 0);
      if (ran && /^(src|nodes)\//.test(file)) files.push(file);
    }
  });
  return files;
}

describe('the life of a message in docs/internals/architecture.md', () => {
  const section = page.split('## 3. The life of a message')[1]!.split('\n## ')[0]!;
  const listed = [...section.matchAll(/^(\d+)\. `(\S+)`/gm)].map(([, at, file]) => ({
    at: Number(at),
    file: file!,
  }));
  useNodeRed();

  it('lists each file once, and says how many they are', () => {
    assert.deepEqual(
      listed.map(({ at }) => at),
      listed.map((_, index) => index + 1),
    );
    assert.equal(new Set(listed.map(({ file }) => file)).size, listed.length);
    assert.ok(section.includes(`The message crosses ${listed.length} files.`));
  });

  it('names only files that run when a message is delivered', async () => {
    const sandbox = await startSandbox();
    const flow = new Flow();
    const session = new Session();
    session.connect();
    try {
      await load([customAccount(sandbox.url), ...flow.nodes()], login(), flow);
      session.post('Profiler.enable');
      session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
      // With this one come the token, and whatever else happens once.
      await flow.send({ payload: entry(1) });
      filesThatRan(session);
      await flow.send({ payload: entry(2) });
      const ran = new Set(filesThatRan(session));
      // The store may run in a thread of its own.
      const idle = listed.filter(({ file }) => !ran.has(file) && !file.startsWith('src/queue/'));
      assert.deepEqual(idle, []);
    } finally {
      session.disconnect();
      await restart();
      await sandbox.close();
    }
  });
});
