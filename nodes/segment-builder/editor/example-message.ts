// Example message that fits the form, for a preview before the first event.
import type { BuilderConfig } from '../../../src/entry/index';

/** Sets a property of a message by its path; the editor has it. */
export type SetProperty = (message: object, path: string, value: unknown) => void;

const examples: Readonly<Record<string, string>> = {
  idfa: '1ba98a6c-d1a5-49ef-ad1c-2d9230ebcd13',
  aaid: '1ba98a6c-d1a5-49ef-ad1c-2d9230ebcd13',
  sha1udid: '2fd4e1c67a2d28fced849ee1bb76e7391b93eb12',
  sh1udid: '2fd4e1c67a2d28fced849ee1bb76e7391b93eb12',
  openudid: '2fd4e1c67a2d28fced849ee1bb76e7391b93eb12',
  md5udid: '9e107d9d372bb6826bd81d3542a419d6',
};
const platformId = '12345678900987654321';

interface Wanted {
  readonly value: string;
  readonly type: string;
  readonly example: unknown;
}

/** @param now ISO 8601, for the time of the event */
export function exampleMessage(config: BuilderConfig, now: string, setProperty: SetProperty): object {
  const message = { payload: {} };
  const item = {};
  const wanted = wantedBy(config, now);
  for (const { value, type, example } of wanted) {
    const path = value.startsWith('msg.') ? value.slice('msg.'.length) : value;
    if (type === 'msg' && path !== '') setSafely(setProperty, message, path, example);
    if (type === 'item' && value !== '') setSafely(setProperty, item, value, example);
  }
  if (config.source === 'items' && config.itemsType === 'msg') {
    const whole = wanted.find(({ value, type }) => type === 'item' && value === '');
    setSafely(setProperty, message, config.items, [whole === undefined ? item : whole.example]);
  }
  return message;
}

function wantedBy(config: BuilderConfig, now: string): Wanted[] {
  const kind = config.domainType === 'str' ? config.domain : 'idfa';
  const wanted: Wanted[] = [
    { value: config.userId, type: config.userIdType, example: examples[kind] ?? platformId },
    { value: config.domain, type: config.domainType, example: 'idfa' },
    { value: config.consent, type: config.consentType, example: true },
    { value: config.eventTime, type: config.eventTimeType, example: now },
  ];
  if (config.action === 'property') {
    wanted.push({ value: config.actionProperty, type: config.actionType, example: 'add' });
  }
  for (const row of config.segments) {
    const code = row.by === 'code';
    wanted.push({ value: row.segment, type: row.segmentType, example: code ? 'kitchen_viewers' : 10001 });
    if (code) wanted.push({ value: row.member, type: row.memberType, example: 1 });
    wanted.push({ value: row.value, type: row.valueType, example: 1 });
    wanted.push({ value: row.expiration, type: row.expirationType, example: 30 });
  }
  return wanted;
}

/** A path that is none yet, or that contradicts another one, has its sentence elsewhere. */
function setSafely(setProperty: SetProperty, message: object, path: string, example: unknown): void {
  try {
    setProperty(message, path, example);
  } catch {
    // Told below the field.
  }
}
