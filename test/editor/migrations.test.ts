// Flows saved by earlier versions: what is put right on load, for the runtime and the editor alike.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { migrate, withDefaults } from '../../nodes/shared/migrations';
import { load } from './bundle';

const builder = 'xandr-segment-builder';

describe('migrations', () => {
  for (const node of ['account', 'instant-audience-out', 'segment-builder', 'audience-usage']) {
    it(`give a ${node} node that saved nothing the defaults of the form`, () => {
      const { type, definition } = load(node);
      const names = Object.keys(definition.defaults);
      const migrated: Record<string, unknown> = migrate(type, {});
      assert.deepEqual(Object.keys(migrated).sort(), names.sort());
      // A new builder starts with an empty row; an old one without rows has none.
      for (const name of names.filter((one) => one !== 'segments')) {
        assert.deepEqual(migrated[name], definition.defaults[name]!.value, name);
      }
    });
  }

  it('leave alone what is there, also where it was emptied on purpose', () => {
    const saved = { source: 'items', domain: null, items: '', segments: [] };
    const migrated: Record<string, unknown> = migrate(builder, saved);
    for (const [name, value] of Object.entries(saved)) assert.equal(migrated[name], value);
  });

  it('complete the rows of a builder', () => {
    const { segments } = migrate(builder, { segments: [{ by: 'code', segment: 'abc', member: 7 }] });
    assert.deepEqual(segments, [
      {
        by: 'code',
        segment: 'abc',
        segmentType: 'str',
        name: '',
        member: '7',
        memberType: 'num',
        value: '',
        valueType: 'num',
        expiration: '30',
        expirationType: 'num',
        expirationUnit: 'days',
      },
    ]);
  });

  it('leave out blanks around choices, paths and numbers, and around nothing else', () => {
    const out = migrate('xandr-instant-audience-out', {
      name: ' mine ',
      account: 'abc\n',
      input: ' payload',
      inputType: 'msg ',
      completeOn: 'queued ',
      youngSegments: 'hold\r\n',
      lateAdds: 'asIs ',
      allowUnknownFields: ' true',
      dryRun: 'true ',
    });
    assert.deepEqual(out, {
      name: ' mine ',
      account: 'abc',
      input: 'payload',
      inputType: 'msg',
      completeOn: 'queued',
      youngSegments: 'hold',
      lateAdds: 'asIs',
      allowUnknownFields: 'true',
      dryRun: 'true',
    });
    const usage: Record<string, unknown> = migrate('xandr-audience-usage', {
      schedule: 'hourly ',
      detail: 'aggregated ',
    });
    assert.deepEqual([usage.schedule, usage.detail], ['hourly', 'aggregated']);
    const row = { by: 'code ', segment: ' a b ', member: '7 ', expiration: '30 ', expirationUnit: ' days' };
    const built: Record<string, unknown> = migrate(builder, {
      source: 'items ',
      action: 'remove ',
      domain: ' d ',
      segments: [row],
    });
    assert.deepEqual([built.source, built.action, built.domain], ['items', 'remove', ' d ']);
    assert.partialDeepStrictEqual(built.segments, [
      { by: 'code', segment: ' a b ', member: '7', expiration: '30', expirationUnit: 'days' },
    ]);
  });

  it('leave to the checks what is no list of rows', () => {
    for (const segments of ['x', 5, null, ['x'], [null]]) {
      assert.deepEqual(migrate(builder, { segments }).segments, segments);
    }
  });

  it('give back the same object when there is nothing to do, and for other types', () => {
    const whole: object = migrate(builder, { segments: [{}] });
    assert.equal(migrate(builder, whole as Record<string, unknown>), whole);
    const other = { anything: 1 };
    assert.equal(migrate('inject', other), other);
  });

  it('never change what they are given, and do nothing the second time', () => {
    fc.assert(
      fc.property(fc.constantFrom(builder, 'xandr-instant-audience-out'), fc.object(), (type, saved) => {
        const before = structuredClone(saved);
        const once = migrate(type, saved);
        assert.deepEqual(saved, before);
        assert.equal(migrate(type, once), once);
      }),
    );
  });

  it('can take the value of a property that has another name now', () => {
    const rename = (saved: Readonly<Record<string, unknown>>) =>
      saved.uid === undefined ? saved : { ...saved, userId: saved.uid, uid: undefined };
    const migrated = withDefaults({ userIdType: 'msg' })(rename({ uid: 'payload.user' }));
    assert.equal(migrated.userId, 'payload.user');
    assert.equal(migrated.userIdType, 'msg');
  });
});
