// Builders that lead to an out node, through wires, links and subflows.
import assert from 'node:assert/strict';
import { FlowGraph, type FlowConfig } from '../../nodes/shared/flow-graph';

const node = (id: string, type: string, to: string[] = [], changes: object = {}): FlowConfig => ({
  id,
  type,
  z: 'tab',
  wires: to.length === 0 ? [] : [to],
  ...changes,
});
const builder = (id: string, to: string[] = [], changes: object = {}): FlowConfig =>
  node(id, 'xandr-segment-builder', to, changes);
const out = node('out', 'xandr-instant-audience-out');
const tab = (id: string, changes: object = {}): FlowConfig => ({ id, type: 'tab', ...changes });
const before = (path: string, nodes: readonly FlowConfig[]): string[] =>
  new FlowGraph([tab('tab'), ...nodes])
    .buildersOf(path, 'account')
    .map(({ path: where }) => where.replace(/^tab\//, ''))
    .sort();
const found = (...nodes: FlowConfig[]): string[] => before('tab/out', [...nodes, out]);

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
    assert.deepEqual(before('tab/out', [builder('b', ['out']), node('out', 'x', ['c']), builder('c')]), [
      'b',
    ]);
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

  const subflow = (inner: string, outer: string): FlowConfig =>
    node('s', 'subflow', [], {
      in: [{ wires: [{ id: inner }] }],
      out: [{ wires: [{ id: outer, port: 0 }] }],
    });

  it('are found inside a subflow, and before the instance that holds the out node', () => {
    assert.deepEqual(
      found(subflow('inner', 'inner'), builder('inner', [], { z: 's' }), node('i', 'subflow:s', ['out'])),
      ['i/inner'],
    );
    const holding = [
      subflow('out', 'out'),
      { ...out, z: 's' },
      builder('one', ['i']),
      builder('two', ['j']),
      node('i', 'subflow:s'),
      node('j', 'subflow:s'),
    ];
    assert.deepEqual(before('tab/i/out', holding), ['one']);
    assert.deepEqual(before('tab/j/out', holding), ['two']);
  });

  it('are found in subflows of subflows, and behind an input that is an output, too', () => {
    const outer = node('o', 'subflow', [], {
      in: [{ wires: [{ id: 'i' }] }],
      out: [{ wires: [{ id: 'o', port: 0 }] }, { wires: [{ id: 'i', port: 0 }] }],
    });
    const nodes = [
      subflow('inner', 'inner'),
      outer,
      builder('inner', [], { z: 's' }),
      node('i', 'subflow:s', [], { z: 'o' }),
      builder('first', ['outer']),
    ];
    const wires = [[], ['out']];
    assert.deepEqual(found(...nodes, node('outer', 'subflow:o', [], { wires })), ['first', 'outer/i/inner']);
    assert.deepEqual(found(...nodes, node('outer', 'subflow:o', ['out'])), ['first']);
  });

  it('are not found where they are disabled: alone, with their flow, with their subflow', () => {
    const other = [tab('off', { disabled: true }), tab('on')];
    const links = (z: string): FlowConfig[] => [
      builder(`builder ${z}`, [`out ${z}`], { z }),
      node(`out ${z}`, 'link out', [], { z, links: ['in'] }),
    ];
    const linkIn = node('in', 'link in', ['out'], { links: [] });
    assert.deepEqual(found(...other, ...links('on'), ...links('off'), linkIn), ['on/builder on']);
    assert.deepEqual(
      found(...other, ...links('off'), linkIn, builder('same', [], { z: 'off', account: 'account' })),
      [],
    );
    assert.deepEqual(found(builder('off', ['out'], { d: true })), []);
    const inner = [subflow('inner', 'inner'), builder('inner', [], { z: 's', account: 'account' })];
    assert.deepEqual(found(...inner), [], 'a subflow without an instance');
    assert.deepEqual(found(...inner, node('i', 'subflow:s', ['out'], { d: true })), []);
  });

  it('are found behind a call of a link, and only those of the flow that is called', () => {
    const callable = (name: string): FlowConfig[] => [
      node(`in ${name}`, 'link in', [name], { links: [] }),
      builder(name, [`back ${name}`]),
      node(`back ${name}`, 'link out', [], { mode: 'return', links: [] }),
    ];
    const call = (links: string[], changes: object = {}): FlowConfig =>
      node('call', 'link call', ['out'], { links, ...changes });
    const both = [...callable('one'), ...callable('two')];
    assert.deepEqual(found(...both, call(['in one'])), ['one']);
    assert.deepEqual(found(...both, call(['in one']), builder('first', ['call'])), ['first', 'one']);
    assert.deepEqual(found(...both, call([], { linkType: 'dynamic' })), ['one', 'two']);
    const through = [
      node('in all', 'link in', ['inside'], { links: [] }),
      node('inside', 'link call', ['back all'], { links: ['in two'] }),
      node('back all', 'link out', [], { mode: 'return', links: [] }),
    ];
    assert.deepEqual(found(...both, ...through, call(['in all'])), ['two'], 'a call within a call');
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
