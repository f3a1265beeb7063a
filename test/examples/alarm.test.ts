// “alarm by mail”: rejected entries, a pause and a late queue each send a mail to a local SMTP server.
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { cleanUps } from '../support/clean-up';
import { until } from '../support/node-red';
import { device, ExampleSite, feeder, nodeOf, readExample, report, setVariable } from './support';

const waitMs = 15_000;
/** The shortest time that an account can be told to warn after is a minute. */
const lateMs = 100_000;

describe('alarm by mail', function () {
  this.timeout(150_000);
  const ends = cleanUps();
  const flow = readExample('alarm by mail');
  const out = nodeOf(flow, 'xandr-instant-audience-out');
  const feed = feeder(out);
  const mails: string[] = [];
  let site: ExampleSite;

  before(async () => {
    const server = createServer((socket) => takeMail(socket, mails));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ends(() => new Promise((resolve) => server.close(resolve)));
    const { port } = server.address() as AddressInfo;
    Object.assign(nodeOf(flow, 'e-mail'), { server: '127.0.0.1', port: String(port) });
    setVariable(flow, 'MAIL_TO', 'team@example.com');
    // The test does not wait a minute for each mail about the status.
    Object.assign(nodeOf(flow, 'delay', 'newest of a minute'), { rateUnits: 'second' });
    // A hundred users take longer than the minute.
    Object.assign(nodeOf(flow, 'xandr-account'), { usersPerSecond: 1, warnAfterMinutes: 1 });
    site = await ExampleSite.start([...flow, feed], { modules: ['node-red-node-email'] });
    ends(() => site.close());
  });

  const mail = (what: RegExp, timeoutMs = waitMs): Promise<void> =>
    until(
      () => mails.some((each) => what.test(each)),
      timeoutMs,
      () => `${String(what)} in ${JSON.stringify(mails)}`,
    );

  it('says which entries were rejected, and why', async () => {
    await site.press(nodeOf(flow, 'inject', 'try: an entry that is wrong'));
    await mail(/^To: team@example\.com$/m);
    await mail(/^Subject: Rejected: 1 entries$/m);
    await mail(/expiration/);
  });

  it('says that delivery was stopped, also right after other trouble, and nothing without trouble', async () => {
    await site.press(nodeOf(flow, 'inject', 'try: stop delivery'));
    await mail(/^Subject: .*paused/m);
    await site.press(nodeOf(flow, 'inject', 'try: go on'));
    await site.delivered(out, waitMs);
    assert.ok(!mails.some((each) => /Subject: .*ready/.test(each)));
  });

  it('says that the queue is late', async () => {
    const startedMs = performance.now();
    const entries = Array.from({ length: 100 }, (_, n) => ({
      user_id: device(n),
      domain: 'idfa',
      seg_block: [{ seg_id: 10_001, expiration: 60 }],
    }));
    await site.press(feed, entries);
    await mail(/^Subject: .*oldest_1_min/m, lateMs);
    report('alarm by mail', 'its buttons', '100 entries', `${mails.length} mails`, startedMs);
  });
});

/** As much of SMTP as a mail needs. */
function takeMail(socket: Socket, mails: string[]): void {
  const say = (line: string): void => void socket.write(`${line}\r\n`);
  let mail: string[] | null = null;
  socket.on('error', () => socket.destroy());
  createInterface({ input: socket }).on('line', (line) => {
    if (mail !== null && line !== '.') mail.push(line);
    else if (mail !== null) {
      mails.push(mail.join('\n'));
      mail = null;
      say('250 accepted');
    } else if (/^DATA/i.test(line)) {
      mail = [];
      say('354 go on');
    } else say(/^QUIT/i.test(line) ? '221 bye' : '250 localhost');
  });
  say('220 localhost');
}
