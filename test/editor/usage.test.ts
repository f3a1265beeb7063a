// The usage node in the editor: defaults, validators, labels.
import assert from 'node:assert/strict';
import { usageSchema } from '../../nodes/audience-usage/schema';
import { readSaved } from '../../nodes/shared/saved';
import { load } from './bundle';

const accounts = {
  good: { label: 'EU seat', valid: true },
  bad: { label: 'bad', valid: false },
  off: { label: 'off', d: true },
};
const { type, definition, nodeWith, errorsOf } = load('audience-usage', accounts);
const answer = (properties: object): string => errorsOf({ account: 'good', ...properties }).join();

describe('the usage node in the editor', () => {
  it('saves its properties with their defaults, which never change', () => {
    assert.equal(type, 'xandr-audience-usage');
    const defaults = Object.entries(definition.defaults).map(([name, { value }]) => [name, value]);
    assert.deepEqual(JSON.parse(JSON.stringify(Object.fromEntries(defaults))), {
      name: '',
      account: '',
      schedule: 'message',
      range: 'hour',
      from: '',
      fromType: 'msg',
      to: '',
      toType: 'msg',
      detail: 'hourly',
    });
    assert.equal(definition.defaults.account!.type, 'xandr-account');
  });

  it('reads a new node as one with nothing saved', () => {
    const { _: _words, ...saved } = nodeWith();
    assert.deepEqual(readSaved(usageSchema(saved), saved), readSaved(usageSchema({}), {}));
  });

  it('needs an account that exists, is enabled and is complete', () => {
    assert.match(errorsOf().join(), /^Account: choose one/);
    assert.match(errorsOf({ account: 'deleted' }).join(), /^Account: .*no longer exists/);
    assert.match(errorsOf({ account: 'off' }).join(), /^Account: .*disabled/);
    assert.match(errorsOf({ account: 'bad' }).join(), /^Account: .*not complete/);
    assert.equal(answer({}), '');
  });

  it('checks its choices, and leaves variables alone', () => {
    assert.match(answer({ schedule: 'daily' }), /^Runs: "daily" is not known; choose one of message, hourly/);
    assert.match(answer({ range: 'month' }), /^Range: "month" is not known/);
    assert.match(answer({ detail: 'none' }), /^Report: "none" is not known/);
    assert.equal(answer({ schedule: '${S}', range: '${R}', detail: '${D}' }), '');
    assert.equal(answer({ schedule: undefined, range: undefined, detail: undefined }), '');
  });

  it('looks at from and to only where the range is theirs', () => {
    assert.equal(answer({ from: 'not a path', to: 'not a path' }), '');
    assert.match(answer({ range: 'custom' }), /^From: enter the start/);
    assert.match(answer({ range: 'custom', from: 'not a path' }), /^From: not a value/);
    assert.match(answer({ range: 'custom', from: 'x', fromType: 'num' }), /^From: not a value/);
    assert.match(answer({ range: 'custom', from: 'start', to: 'not a path' }), /^To: not a value/);
    assert.equal(answer({ range: 'custom', from: 'start' }), '');
    assert.equal(answer({ range: 'custom', from: '${FROM}' }), '');
  });

  it('reports that an hourly report has no message', () => {
    const hourly = { schedule: 'hourly', range: 'custom', from: 'start' };
    assert.match(answer(hourly), /^From: there is no message/);
    assert.equal(answer({ ...hourly, fromType: 'flow' }), '');
    assert.match(answer({ ...hourly, fromType: 'flow', to: 'end' }), /^To: there is no message/);
  });

  it('has the name of the palette on the canvas, and names its outputs', () => {
    const label = (properties: object) => definition.label.call(nodeWith(properties));
    assert.equal(label({}), definition.paletteLabel);
    assert.equal(label({ account: 'good', name: 'every hour' }), 'every hour');
    assert.deepEqual(
      [0, 1].map((index) => definition.outputLabels!.call(nodeWith(), index)),
      ['report', 'findings'],
    );
  });
});
