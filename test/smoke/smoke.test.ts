// The quick start in short, on what the other tests of `npm test` do not run on: the oldest Node-RED and Node.js that are
// admitted, and the newest.
import { strict as assert } from 'node:assert';
import semver from 'semver';
import { nodeOf, readExample } from '../examples/support';
import { nodeJs } from '../support/node-js';
import { NodeRed, until } from '../support/node-red';

const pairs = [
  { version: '4.1', node: 22 },
  { version: '5', node: 26 },
] as const;

for (const { version, node } of pairs) {
  describe(`a Node-RED ${version} on Node.js ${node}`, function () {
    this.timeout(120_000);
    let nodeRed: NodeRed | undefined;

    before(async function () {
      // Without a registry it is the Node.js of the tests.
      if ((await nodeJs(node)) === process.execPath) this.skip();
      nodeRed = await NodeRed.start({ version, node });
    });
    after(() => nodeRed?.stop());

    it('imports the quick start, accepts an event, and has its user in the sandbox', async () => {
      const running = nodeRed!;
      assert.equal(semver.major((await running.json('diagnostics')).nodejs.version), node);
      const flow = readExample('quick start');
      await running.deploy(flow);
      const viewed = nodeOf(flow, 'inject', 'viewed');
      const { user } = JSON.parse(viewed.payload as string) as { user: string };
      await running.inject(viewed.id);
      const members = async (): Promise<string[]> => {
        const segments: { members: { user_id: string }[] }[] = await running.json(
          'instant-audience/sandbox/members?segment=10001',
        );
        return segments.flatMap((segment) => segment.members.map((member) => member.user_id));
      };
      await until(
        async () => (await members()).includes(user),
        10_000,
        () => `the user in the segment; log:\n${running.output}`,
      );
      assert.equal((await running.stop()).code, 0);
      assert.doesNotMatch(running.output, /\[(error|fatal)\]|Uncaught|UnhandledPromise|Error stopping node/);
    });
  });
}
