// The highest resident memory of a Node-RED through which a burst of single messages goes.
import { median } from '../support/figures';
import { bareFlow, coreFlow, ourFlow, type FlowNode } from '../support/flows';
import { startNodeRed } from '../support/node-red';
import { sleep } from '../support/process';
import { mb } from '../support/report';
import { fastCore, sendAll, startService, type Bench, type Part, type Service } from '../support/setting';

const users = 200_000;
const runs = 5;
/** Until a node that does nothing has got all messages. */
const settleMs = 3_000;

export const burst: Part = async (bench) => {
  const { service, url } = await startService(bench);
  const peaks = { ours: [] as number[], core: [] as number[], bare: [] as number[] };
  for (let run = 0; run < runs; run += 1) {
    peaks.ours.push(await peakOf(bench, ourFlow({ url, queue: 'disk', from: 'builder' }), service));
    peaks.core.push(await peakOf(bench, coreFlow(fastCore(url)), service));
    peaks.bare.push(await peakOf(bench, bareFlow(), null));
  }
  const ours = median(peaks.ours);
  const core = median(peaks.core);
  const bare = median(peaks.bare);
  return {
    title: `Memory of Node-RED in a burst of ${users.toLocaleString('en-US')} single messages, quota lifted`,
    rows: [
      {
        what: 'highest resident memory, segment builder and out node, queue on disk',
        figure: mb(ours),
        against: `core nodes ${mb(core)}`,
        ratio: ours / core,
        goal: '≤ core nodes',
        reached: ours <= core,
      },
      {
        what: 'the same',
        figure: mb(ours),
        against: `a node that only calls done() ${mb(bare)}`,
        ratio: ours / bare,
      },
    ],
    more: `Median of ${runs} runs, each in a new process, taking turns. The source sends all messages at once.`,
  };
};

async function peakOf(bench: Bench, flow: readonly FlowNode[], service: Service | null): Promise<number> {
  const nodeRed = await startNodeRed(bench.workspace, 'node-red', flow);
  await sleep(1300);
  if (service === null) {
    await nodeRed.call('send', 1, users, users);
    await sleep(settleMs);
  } else {
    await sendAll(nodeRed, service, 1, users, users);
  }
  const peak = await nodeRed.call('peakRssBytes');
  await nodeRed.stop();
  return peak;
}
