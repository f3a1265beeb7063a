// The command instant-audience-sandbox, run as a process.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { call, entry, login, post, sandboxes } from './helpers';

const cli = join(__dirname, '..', '..', 'src', 'sandbox', 'cli.ts');

interface Run {
  child: ChildProcess;
  out: () => string;
  err: () => string;
  exit: Promise<number | null>;
}

describe('instant-audience-sandbox', () => {
  const start = sandboxes();
  const running: ChildProcess[] = [];
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'sandbox-cli-'));
  });
  after(() => rmSync(folder, { recursive: true }));
  afterEach(() => {
    for (const child of running.splice(0)) child.kill('SIGKILL');
  });

  function run(...args: string[]): Run {
    const child = spawn(process.execPath, ['--require', 'tsx/cjs', cli, ...args]);
    running.push(child);
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    const exit = new Promise<number | null>((resolve) => child.on('close', resolve));
    return { child, out: () => out, err: () => err, exit };
  }

  async function address({ child, out, exit }: Run): Promise<string> {
    const ended = exit.then((code) => Promise.reject(new Error(`ended with ${code}`)));
    const greeted = new Promise<void>((resolve) => {
      child.stdout!.on('data', () => {
        if (out().includes('Stop it with')) resolve();
      });
    });
    await Promise.race([greeted, ended]);
    ended.catch(() => undefined);
    return /http:\/\/127\.0\.0\.1:\d+/.exec(out())![0];
  }

  it('starts, prints examples, follows its options, and ends on SIGTERM', async () => {
    const users = join(folder, 'users.json');
    writeFileSync(users, '{"jane":"doe"}');
    const script = '[{"kind":"status","status":503,"count":1}]';
    const one = run(
      '--port',
      '0',
      '--users',
      users,
      '--auth-limit',
      '1',
      '--faults',
      script,
      '--latency',
      '0-2',
      '--warm-up',
      '0',
      '--default-expiration',
      '0',
    );
    const url = await address(one);
    assert.match(one.out(), /curl .*\/rt-segment/);
    assert.doesNotMatch(one.out(), /jane|doe/, 'no login is printed');
    const token = await login(url, 'jane', 'doe');
    assert.equal(await login(url, 'jane', 'doe'), undefined, 'the second exceeds the limit');
    assert.equal((await post(url, token, entry('1'))).status, 503);
    assert.equal((await post(url, token, entry('1', [{ seg_id: 10996 }, { seg_id: 77 }]))).status, 200);
    const { json } = await call(url, 'GET /sandbox/state');
    assert.deepEqual(
      json.map(({ segment, expires }: any) => [segment, expires === null]),
      [
        ['77', true],
        ['10996', false],
      ],
    );
    assert.equal((await call(url, 'GET /sandbox/members')).json.segments[0].count, 1);
    one.child.kill('SIGTERM');
    assert.equal(await one.exit, 0);
  });

  it('ends with a sentence when the port is in use', async () => {
    const { port } = await start();
    const one = run('--port', String(port));
    assert.equal(await one.exit, 1);
    assert.match(
      one.err(),
      new RegExp(`^instant-audience-sandbox: Port ${port} of 127.0.0.1 is in use.*\\n$`),
    );
  });

  it('shows its options, and names a wrong one', async () => {
    const [help, ...wrong] = [
      run('--help'),
      run('--port', 'http'),
      run('--faults', '[{"kind":"drop","count":0}]'),
      run('--users', join(folder, 'none.json')),
      run('--colour'),
      run('--processing-delay', '90000'),
    ];
    assert.equal(await help.exit, 0);
    for (const option of [
      '--port',
      '--auth-limit',
      '--latency',
      '--processing-delay',
      '--faults',
      '--users',
    ]) {
      assert.ok(help.out().includes(option));
    }
    assert.deepEqual(await Promise.all(wrong.map(({ exit }) => exit)), [1, 1, 1, 1, 1]);
    const messages = [
      /--port must be/,
      /--faults: faults\[0\]\.count/,
      /none\.json cannot be read \(ENOENT\)/,
      /--colour/,
      /--processing-delay must be a whole number from 0 to 86400/,
    ];
    wrong.forEach(({ err }, index) => {
      assert.match(err(), messages[index]!);
      assert.equal(err().trimEnd().split('\n').length, 1, 'one line, no stack');
    });
  });
});
