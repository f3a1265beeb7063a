// The out node in the editor: defaults, validators, labels.
import assert from 'node:assert/strict';
import { outSchema } from '../../nodes/instant-audience-out/schema';
import { readSaved } from '../../nodes/shared/saved';
import { load } from './bundle';

const accounts = {
  good: { label: 'EU seat', valid: true },
  fresh: { label: 'fresh' },
  bad: { label: 'bad', valid: false },
  off: { label: 'off', d: true },
};
const { type, definition, nodeWith, errorsOf } = load('instant-audience-out', accounts);

describe('the out node in the editor', () => {
  it('saves every property of the design with its default', () => {
    assert.equal(type, 'xandr-instant-audience-out');
    const defaults = Object.entries(definition.defaults).map(([name, { value }]) => [name, value]);
    assert.deepEqual(JSON.parse(JSON.stringify(Object.fromEntries(defaults))), {
      name: '',
      account: '',
      input: 'payload',
      inputType: 'msg',
      completeOn: 'accepted',
      youngSegments: 'warn',
      lateAdds: 'shorten',
      allowUnknownFields: false,
      dryRun: false,
    });
    assert.equal(definition.defaults.account!.type, 'xandr-account');
  });

  it('reads a new node as one with nothing saved', () => {
    const { _: _words, ...saved } = nodeWith();
    assert.deepEqual(readSaved(outSchema, saved), readSaved(outSchema, {}));
  });

  it('needs an account that exists, is enabled and is complete', () => {
    assert.match(errorsOf().join(), /^Account: choose one/);
    assert.match(errorsOf({ account: '_ADD_' }).join(), /^Account: choose one/);
    assert.match(errorsOf({ account: 'deleted' }).join(), /^Account: .*no longer exists/);
    assert.match(errorsOf({ account: 'off' }).join(), /^Account: .*disabled/);
    assert.match(errorsOf({ account: 'bad' }).join(), /^Account: .*not complete/);
    assert.deepEqual(errorsOf({ account: 'good' }), []);
    assert.deepEqual(errorsOf({ account: 'fresh' }), [], 'not validated yet is not invalid');
  });

  it('needs to know where the entries are', () => {
    const answer = (input: unknown) => errorsOf({ account: 'good', input }).join();
    assert.match(answer(''), /^Property: name the property/);
    assert.match(answer('  '), /^Property: name the property/);
    assert.match(answer('pay load'), /^Property: not the name of a property/);
    assert.equal(answer('data.entries'), '');
    assert.equal(answer(undefined), '');
  });

  it('offers exactly two ways to complete a message', () => {
    const answer = (completeOn: unknown) => errorsOf({ account: 'good', completeOn }).join();
    assert.match(
      answer('delivered'),
      /^Complete message: "delivered" is not known; choose one of accepted, queued/,
    );
    assert.equal(answer('queued'), '');
    assert.equal(answer(undefined), '');
  });

  it('offers exactly three choices for new segments', () => {
    const answer = (youngSegments: unknown) => errorsOf({ account: 'good', youngSegments }).join();
    assert.match(answer('later'), /^Segment check: "later" is not known/);
    for (const known of ['ignore', 'warn', 'hold', undefined]) assert.equal(answer(known), '');
  });

  it('offers exactly two choices for late adds', () => {
    const answer = (lateAdds: unknown) => errorsOf({ account: 'good', lateAdds }).join();
    assert.match(answer('drop'), /^Late adds: "drop" is not known/);
    for (const known of ['shorten', 'asIs', undefined]) assert.equal(answer(known), '');
  });

  it('accepts only yes and no, and leaves variables to the runtime', () => {
    const answer = (dryRun: unknown) => errorsOf({ account: 'good', dryRun }).join();
    for (const clear of [true, false, 'true', 'FALSE', '${DRY}', '$(DRY)', undefined])
      assert.equal(answer(clear), '');
    assert.equal(answer('ture'), 'Dry run: "ture" is neither yes nor no; write true or false.');
    assert.match(
      errorsOf({ account: '${ACC}', allowUnknownFields: '' }).join(),
      /^Unknown fields: "" is neither/,
    );
  });

  it('has the name of the palette on the canvas, and says when it runs dry', () => {
    const label = (properties: object) => definition.label.call(nodeWith(properties));
    assert.equal(label({}), definition.paletteLabel);
    assert.equal(label({ account: 'good' }), 'instant audience out');
    assert.equal(label({ account: 'good', name: 'viewers' }), 'viewers');
    assert.equal(label({ account: 'good', name: 'viewers', dryRun: true }), 'viewers (dry run)');
    assert.equal(label({ dryRun: true }), 'instant audience out (dry run)');
    assert.equal(label({ name: 'viewers', dryRun: 'true' }), 'viewers (dry run)');
    assert.equal(label({ name: 'viewers', dryRun: 'false' }), 'viewers');
    assert.equal(label({ name: 'viewers', dryRun: '${DRY}' }), 'viewers (dry run if ${DRY})');
    assert.equal(label({ name: 'viewers', dryRun: 'ture' }), 'viewers');
  });

  it('names its two outputs', () => {
    assert.deepEqual(
      [0, 1].map((index) => definition.outputLabels!.call(nodeWith(), index)),
      ['accepted', 'rejected'],
    );
  });
});
