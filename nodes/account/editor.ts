// Editor definition of the account node: defaults, validators, and the form.
import { describeByHints, keepNames, reachConfigButtons } from '../shared/editor/accessible';
import { keepBox, keepSelectable, keepVariable } from '../shared/editor/choices';
import { formClosed, formOpened } from '../shared/editor/fields';
import { completeOnLoad } from '../shared/editor/on-load';
import { checkedFields, showProblems } from '../shared/editor/problems';
import { useStyle } from '../shared/editor/style';
import { makeTabs } from '../shared/editor/tabs';
import { storedPassword } from '../shared/saved';
import type { EditorRed } from '../types/red-editor';
import { numberProperties } from './schema';
import { labelOf } from './editor/label';
import { prepareQueuedEntries } from './editor/queued-entries';
import {
  foldBehind,
  showWhatApplies,
  showWhatLimitsMean,
  showWhetherInClear,
  unfoldChanged,
} from './editor/sections';
import { useAccountStyle } from './editor/style';
import { prepareTestButton } from './editor/test-button';
import { valid, validDatabase, validEncryption, validLogin, validQueue } from './editor/validators';
import {
  checkedProperties,
  field,
  readFields,
  value,
  type Account,
  type AccountCredentials,
  type AccountProperties,
} from './editor/values';

declare const RED: EditorRed;

/** Figures are saved as numbers, whatever the fields hold; `${ENV}` stays the text that it is. */
function saveNumbers(account: AccountProperties): void {
  for (const property of numberProperties) {
    const text = value(property);
    if (/^\d+$/.test(text)) {
      account[property] = Number(text);
    }
  }
}

/** What is wrong is said below the field, also in a tab that is not open yet. */
function showAccountProblems(account: Account, form: JQuery): void {
  const own: Record<string, typeof validQueue> = { queue: validQueue, encryptIds: validEncryption };
  const verdictOn = (name: string, value: unknown): true | string =>
    (own[name] ?? valid(name)).call(account, value, {});
  showProblems(form, checkedFields(checkedProperties, verdictOn, 'node-config-input'));
}

const ownerFields = ['environment', 'serviceUrl', 'member'];
const databaseFields = [
  'databaseBy',
  'databaseUrl',
  'databaseHost',
  'databasePort',
  'databaseName',
  'databaseUser',
  'databasePassword',
  'databaseTls',
];
/** Where its queue is. */
const placeFields = [...ownerFields, 'queue', ...databaseFields];
const loginFields = [
  ...ownerFields,
  'authUrl',
  'authMethod',
  'username',
  'password',
  'keyName',
  'privateKey',
  'tls',
  'proxy',
];

function prepareTests(account: Account, form: JQuery): void {
  prepareTestButton(account, form, {
    id: 'instant-audience-test',
    asking: 'test.asking',
    route: 'test',
    read: () => readFields(loginFields),
  });
  prepareTestButton(account, form, {
    id: 'instant-audience-test-database',
    asking: 'test.database.asking',
    route: 'test-database',
    read: () => readFields([...ownerFields, ...databaseFields]),
  });
}

/** Of the open form: what becomes of queued entries. */
let rememberChoice = (): void => undefined;

/** Node-RED's own configuration nodes, each behind a box. */
const configurations = [
  { property: 'tls', type: 'tls-config', box: 'use-tls' },
  { property: 'proxy', type: 'http proxy', box: 'use-proxy' },
  { property: 'databaseTls', type: 'tls-config', box: 'use-database-tls' },
] as const;

function fieldsOf(names: readonly string[]): JQuery {
  return names.reduce((fields, name) => fields.add(field(name)), $());
}

function prepareForm(account: Account): void {
  const form = $('.instant-audience-account');
  useStyle();
  useAccountStyle(form);
  const tabs = ['connection', 'limits', 'queue'];
  makeTabs(
    'instant-audience-account-tabs',
    tabs.map((name) => ({ id: `instant-audience-tab-${name}`, label: account._(`tab.${name}`) })),
  );
  fieldsOf(numberProperties).addClass('instant-audience-number').attr('inputmode', 'numeric');
  const choices = ['environment', 'authMethod', 'queue', 'databaseBy'] as const;
  for (const name of choices) keepSelectable(field(name), account[name]);
  keepBox(field('encryptIds'), account.encryptIds);
  for (const { property, type, box } of configurations) {
    keepVariable(field(property), account[property]);
    reachConfigButtons(field(property), type);
    foldBehind($(`#instant-audience-${box}`), field(property));
  }
  showAndFollow(fieldsOf([...choices, 'encryptIds']), () => showWhatApplies(account));
  const limits = fieldsOf(['postsPerSecond', 'usersPerSecond', 'maxConcurrent', 'usersPerPost']);
  showAndFollow(limits, () => showWhatLimitsMean(account));
  showAndFollow(fieldsOf(databaseFields), () => showWhetherInClear(account));
  prepareKey();
  unfoldChanged();
  describeByHints(form);
  showAccountProblems(account, form);
  prepareTests(account, form);
  rememberChoice = prepareQueuedEntries(account, fieldsOf(placeFields), () => readFields(placeFields));
  keepNames(form);
}

function showAndFollow(fields: JQuery, show: () => void): void {
  fields.on('change input', show);
  show();
}

function prepareKey(): void {
  // The editor validates at `paste` before the text has arrived.
  field('privateKey').on('input', () => field('privateKey').trigger('change'));
  // A stored key is shown as dots of no meaning: typing or pasting must replace all of them.
  field('privateKey').on('focus', function () {
    if (this instanceof HTMLTextAreaElement && this.value === storedPassword) {
      this.select();
    }
  });
}

RED.nodes.registerType<AccountProperties, AccountCredentials>('xandr-account', {
  category: 'config',
  color: '#8FC1B5',
  icon: 'account.svg',
  paletteLabel: 'instant audience account',
  defaults: {
    name: { value: '' },
    environment: { value: 'sandbox', validate: valid('environment') },
    authUrl: { value: 'https://api.appnexus.com', validate: valid('authUrl') },
    serviceUrl: { value: 'https://streaming-data.appnexus.com', validate: valid('serviceUrl') },
    member: { value: '', validate: valid('member') },
    authMethod: { value: 'password', validate: validLogin },
    keyName: { value: '', validate: valid('keyName') },
    postsPerSecond: { value: 100, validate: valid('postsPerSecond') },
    usersPerSecond: { value: 1000, validate: valid('usersPerSecond') },
    maxConcurrent: { value: 15, validate: valid('maxConcurrent') },
    usersPerPost: { value: 1000, validate: valid('usersPerPost') },
    blocksPerUser: { value: 100, validate: valid('blocksPerUser') },
    maxBodyBytes: { value: 1000000, validate: valid('maxBodyBytes') },
    readsPerSecond: { value: 1000, validate: valid('readsPerSecond') },
    apiReadsPerMinute: { value: 100, validate: valid('apiReadsPerMinute') },
    sandboxWarmUpMinutes: { value: 20, validate: valid('sandboxWarmUpMinutes') },
    sandboxDefaultExpirationMinutes: { value: 43200, validate: valid('sandboxDefaultExpirationMinutes') },
    queue: { value: 'disk', validate: validQueue },
    databaseBy: { value: 'fields', validate: validDatabase },
    databaseHost: { value: '', validate: valid('databaseHost') },
    databasePort: { value: 5432, validate: valid('databasePort') },
    databaseName: { value: '', validate: valid('databaseName') },
    databaseUser: { value: '', validate: valid('databaseUser') },
    queueMaxEntries: { value: 5000000, validate: valid('queueMaxEntries') },
    queueMaxMb: { value: 2048, validate: valid('queueMaxMb') },
    warnAfterMinutes: { value: 2, validate: valid('warnAfterMinutes') },
    encryptIds: { value: false, validate: validEncryption },
    databaseTls: { value: '', type: 'tls-config', required: false },
    tls: { value: '', type: 'tls-config', required: false },
    proxy: { value: '', type: 'http proxy', required: false },
  },
  credentials: {
    username: { type: 'text', validate: valid('username') },
    password: { type: 'password', validate: valid('password') },
    privateKey: { type: 'password', validate: valid('privateKey') },
    databaseUrl: { type: 'password', validate: valid('databaseUrl') },
    databasePassword: { type: 'password', validate: valid('databasePassword') },
  },
  label: function () {
    return labelOf(this);
  },
  labelStyle: function () {
    return this.name ? 'node_label_italic' : '';
  },
  oneditprepare: function () {
    formOpened(this);
    prepareForm(this);
  },
  oneditsave: function () {
    rememberChoice();
    saveNumbers(this);
    formClosed(this);
  },
  oneditcancel: function () {
    formClosed(this);
  },
  oneditdelete: function () {
    formClosed(this);
  },
});

completeOnLoad('xandr-account');
