// Which builders lead to an out node, through whatever lies between.
import assert from 'node:assert/strict';
import { buildersOf, type FlowConfig } from '../../nodes/instant-audience-out/upstream';

const node = (id: string, type: string, to: string[] = [], changes: object = {}): FlowConfig => ({
  id,
  type,
  wires: to.length === 0 ? [] : [to],
  ...changes,
});
const builder = (id: string, to: string[] = [], changes: object = {}): FlowConfig =>
  node(id, 'xandr-segment-builder', to, changes);
const out = node('out', 'xandr-instant-audience-out');
const found = (...nodes: FlowConfig[]): string[] =>
  buildersOf('out', 'account', [...nodes, out])
    .map(({ id }) => id)
    .sort();

describe('the builders before an out node', () => {
  it('are found through wires, round circles, and not behind it', () => {
    assert.deepEqual(
      found(
        builder('near', ['out']),
        builder('far', ['change']),
        node('change', 'change', ['out', 'far']),
        builder('other', ['debug']),
        node('debug', 'debug'),
      ),
      ['far', 'near'],
    );
    assert.deepEqual(
      buildersOf('out', 'a', [builder('b', ['out']), node('out', 'x', ['c']), builder('c')]).length,
      1,
    );
  });

  it('are found through link nodes, whichever end names the other', () => {
    assert.deepEqual(
      found(
        builder('one', ['link out']),
        node('link out', 'link out', [], { links: ['link in'], mode: 'link' }),
        node('link in', 'link in', ['out'], { links: [] }),
      ),
      ['one'],
    );
    assert.deepEqual(
      found(
        builder('one', ['link out']),
        node('link out', 'link out', [], { links: [] }),
        node('link in', 'link in', ['out'], { links: ['link out'] }),
        builder('behind', ['elsewhere']),
      ),
      ['one'],
    );
  });

  it('are found inside a subflow, and before one that holds the out node', () => {
    const subflow = (inner: string, outer: string): FlowConfig =>
      node('s', 'subflow', [], {
        in: [{ wires: [{ id: inner }] }],
        out: [{ wires: [{ id: outer, port: 0 }] }],
      });
    assert.deepEqual(
      found(subflow('inner', 'inner'), builder('inner', [], { z: 's' }), node('i', 'subflow:s', ['out'])),
      ['inner'],
    );
    const holding = [subflow('out', 'out'), builder('before', ['i']), node('i', 'subflow:s')];
    assert.deepEqual(found(...holding), ['before']);
  });

  it('are those of the same account where no wire leads to it', () => {
    assert.deepEqual(
      found(
        builder('same', [], { account: 'account' }),
        builder('other', [], { account: 'another' }),
        builder('none', []),
        builder('disabled', ['out'], { account: 'account', d: true }),
      ),
      ['same'],
    );
  });

  it('are looked for in flows that hold nonsense, too', () => {
    const odd = [
      node('a', 'x', [], { wires: 'no' }),
      node('s', 'subflow', [], { in: 'no', out: [{ wires: null }, null] }),
      node('i', 'subflow:s', ['out']),
      node('j', 'subflow:gone', ['out']),
    ];
    assert.deepEqual(found(...odd, builder('b', ['out'])), ['b']);
  });
});
