// Editor definition of the account node: defaults, validators, and the form.
import { distinctName, type NamedAccount } from '../shared/account-names';
import { keepNames, reachConfigButtons } from '../shared/editor/accessible';
import { knownCredentials } from '../shared/editor/account';
import { keepBox, keepSelectable, keepVariable } from '../shared/editor/choices';
import { currentValues, formClosed, formOpened, isFormOpen } from '../shared/editor/fields';
import { completeOnLoad } from '../shared/editor/on-load';
import { checkedFields, showProblems } from '../shared/editor/problems';
import { useStyle } from '../shared/editor/style';
import { makeTabs } from '../shared/editor/tabs';
import { travelsInClear } from '../../src/queue-postgres/postgres-url';
import { plainText, problemsInForm, storedPassword, variableIn, type Saved } from '../shared/saved';
import type { EditorNode, EditorRed } from '../types/red-editor';
import { accountSchema, numberProperties, numbers, type AccountValues } from './schema';
import { documentedWords, exceedsDocumented, meaningOf, type Limits } from './editor/limits';
import { disagreeing } from './editor/neighbours';
import { prepareQueuedEntries } from './editor/queued-entries';
import { prepareTestButton } from './editor/test-button';

declare const RED: EditorRed;

const credentialNames = ['username', 'password', 'privateKey', 'databaseUrl'] as const;
type AccountCredentials = Record<(typeof credentialNames)[number], string>;

/** Saved properties; figures, and a yes or no, are text where they are `${ENV}`. */
type AccountProperties = { name: string } & {
  [Name in Exclude<keyof AccountValues, keyof AccountCredentials>]: AccountValues[Name] | string;
};

type Account = EditorNode<AccountProperties>;

function field(property: string): JQuery {
  return $(`#node-config-input-${property}`);
}

/** Properties and credentials, as the open form has them, else as they are saved. */
function valuesOf(account: Account): Saved {
  return isFormOpen(account)
    ? currentValues(account, checkedProperties, 'node-config-input')
    : { ...(account as unknown as Saved), ...knownCredentials(account, credentialNames) };
}

const checkedProperties = Object.keys(accountSchema({}).shape);

function verdictOn(account: Account, property: string, values: Saved): true | string {
  const wrong = problemsInForm(accountSchema(values), values).find(({ path }) => path === property);
  return wrong === undefined ? true : account._(`error.${wrong.code}`, { ...wrong.params });
}

/** A validator of Node-RED 3 and later: two parameters, and a sentence for what is wrong. */
function valid(property: string) {
  return function (this: Account, value: unknown, _options: unknown): true | string {
    return verdictOn(this, property, { ...valuesOf(this), [property]: value });
  };
}

/**
 * Node-RED validates credentials in the open form only, so a missing one would not show in the red triangle.
 * Outside the form, the choice that needs them speaks for them, as far as the editor knows them.
 */
function validWith(property: string, credentials: readonly string[]) {
  return function (this: Account, value: unknown, _options: unknown): true | string {
    const values = { ...valuesOf(this), [property]: value };
    const areKnown = !isFormOpen(this) && this.credentials !== undefined;
    const verdicts = [property, ...(areKnown ? credentials : [])].map((name) =>
      verdictOn(this, name, values),
    );
    return verdicts.find((verdict) => verdict !== true) ?? true;
  };
}

const validLogin = validWith('authMethod', ['username', 'password', 'privateKey']);
const validStore = validWith('queue', ['databaseUrl']);

function value(property: string): string {
  return plainText(field(property).val()) ?? '';
}

/** Accounts that share a queue must agree on its place; the runtime would refuse the second one. */
function validQueue(this: Account, value: unknown, options: unknown): true | string {
  const chosen = validStore.call(this, value, options);
  if (chosen !== true) return chosen;
  const other = disagreeing(this.id, { ...valuesOf(this), queue: value }, 'queue');
  return other === null ? true : this._('error.queue_kinds_differ', { account: labelOf(this), other });
}

/** The same for whether the queue that they share is encrypted. */
function validEncryption(this: Account, value: unknown, options: unknown): true | string {
  const chosen = valid('encryptIds').call(this, value, options);
  if (chosen !== true) return chosen;
  const other = disagreeing(this.id, { ...valuesOf(this), encryptIds: value }, 'encryptIds');
  return other === null ? true : this._('error.queue_encryption_differs', { account: labelOf(this), other });
}

function showWhatApplies(account: Account): void {
  const environment = value('environment');
  const queue = value('queue');
  const known = ['sandbox', 'production', 'custom'].includes(environment);
  $('#instant-audience-environment-hint').text(account._(`environment.${known ? environment : 'other'}Hint`));
  $('.instant-audience-only-sandbox').toggle(environment === 'sandbox');
  $('.instant-audience-maybe-sandbox').toggle(environment === 'sandbox' || !known);
  $('.instant-audience-not-sandbox').toggle(environment !== 'sandbox');
  $('.instant-audience-only-custom').toggle(environment === 'custom' || !known);
  $('.instant-audience-only-password').toggle(value('authMethod') !== 'jwt');
  $('.instant-audience-only-jwt').toggle(value('authMethod') !== 'password');
  $('.instant-audience-only-shared').toggle(queue !== 'disk' && queue !== 'memory');
  // A shared queue refuses it: then there is only a box to clear.
  const isTicked = field('encryptIds').prop('checked') === true;
  $('.instant-audience-encryption').toggle(queue !== 'memory' && (queue !== 'shared' || isTicked));
  const queueHint = ['disk', 'memory', 'shared'].includes(queue) ? queue : 'other';
  $('#instant-audience-queue-hint').text(account._(`queue.${queueHint}Hint`));
}

/** The URL that is stored is not known here: of that the test of the database and the log warn. */
function showWhetherInClear(account: Account): void {
  const isClear = travelsInClear(value('databaseUrl'), !['', '_ADD_'].includes(value('databaseTls')));
  $('#instant-audience-database-clear').text(isClear ? account._('account.databaseInClear') : '');
}

function readLimits(): Limits {
  return {
    posts: Number(value('postsPerSecond')),
    users: Number(value('usersPerSecond')),
    concurrent: Number(value('maxConcurrent')),
  };
}

/** The sentence below the limits; empty while one of them is not a number yet. */
function limitsSentence(account: Account): string {
  const properties = ['postsPerSecond', 'usersPerSecond', 'maxConcurrent', 'usersPerPost'] as const;
  if (properties.some((property) => variableIn(value(property)) !== null)) {
    return account._('limits.fromEnvironment');
  }
  const values = Object.fromEntries(properties.map((property) => [property, value(property)]));
  const wrong = problemsInForm(accountSchema(values), values).length > 0;
  if (wrong) {
    return '';
  }
  const meaning = meaningOf(readLimits(), Number(value('usersPerPost')), RED.i18n.lang());
  return account._('limits.meaning', { ...meaning });
}

function showWhatLimitsMean(account: Account): void {
  $('#instant-audience-limits-meaning').text(limitsSentence(account));
  $('#instant-audience-limits-above')
    .text(account._('limits.aboveService', documentedWords(RED.i18n.lang())))
    .toggle(exceedsDocumented(readLimits()));
}

const advanced = [
  'usersPerPost',
  'blocksPerUser',
  'maxBodyBytes',
  'readsPerSecond',
  'apiReadsPerMinute',
] as const;

/** What somebody has changed, or what is wrong, is not hidden. */
function unfoldAdvanced(): void {
  const changed = advanced.some((name) => value(name) !== String(numbers[name].usual));
  $('#instant-audience-advanced').prop('open', changed);
}

/** Figures are saved as numbers, whatever the fields hold; `${ENV}` stays the text that it is. */
function saveNumbers(account: AccountProperties): void {
  for (const property of numberProperties) {
    const text = value(property);
    if (/^\d+$/.test(text)) {
      account[property] = Number(text);
    }
  }
}

/** What an account without a name is called: its environment, or the member it serves. */
function describe(account: Account): string {
  const { environment, member, serviceUrl } = account;
  if (environment === 'sandbox') {
    return account._('account.sandbox');
  }
  const seat = member ? account._('account.member', { member }) : null;
  if (environment === 'custom') {
    const words = seat ?? account._('account.custom');
    const host = URL.canParse(serviceUrl) ? new URL(serviceUrl).host : null;
    return host === null ? words : account._('account.at', { account: words, host });
  }
  return seat ?? account._('account.production');
}

function labelOf(account: Account): string {
  const all: NamedAccount[] = [];
  RED.nodes.eachConfig((each) => {
    if (each.type === 'xandr-account') all.push(named(each as unknown as Account));
  });
  return distinctName(named(account), all);
}

function named(account: Account): NamedAccount {
  return { id: account.id, name: account.name || describe(account) };
}

/** What is wrong is said below the field, also in a tab that is not open yet. */
function showAccountProblems(account: Account, form: JQuery): void {
  const own: Record<string, typeof validQueue> = { queue: validQueue, encryptIds: validEncryption };
  const verdictOn = (name: string, value: unknown): true | string =>
    (own[name] ?? valid(name)).call(account, value, {});
  showProblems(form, checkedFields(checkedProperties, verdictOn, 'node-config-input'));
}

const loginFields = [
  'environment',
  'authUrl',
  'serviceUrl',
  'member',
  'authMethod',
  'username',
  'password',
  'keyName',
  'privateKey',
  'tls',
  'proxy',
];

/** Where its queue is. */
const placeFields = ['environment', 'serviceUrl', 'member', 'queue', 'databaseUrl', 'databaseTls'];
const queueFields = ['environment', 'serviceUrl', 'member', 'databaseUrl', 'databaseTls'];

/** What a test needs; the lists of configuration nodes say `_ADD_` for none. */
function readFields(names: readonly string[]): Record<string, string> {
  const read = names.map((name): [string, string] => [name, String(field(name).val() ?? '')]);
  return Object.fromEntries(read.filter(([, text]) => text !== '_ADD_'));
}

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
    read: () => readFields(queueFields),
  });
}

/** Of the open form: what becomes of queued entries. */
let rememberChoice = (): void => undefined;

function prepareForm(account: Account): void {
  const form = $('.instant-audience-account');
  useStyle();
  const tabs = ['connection', 'limits', 'queue'];
  makeTabs(
    'instant-audience-account-tabs',
    tabs.map((name) => ({ id: `instant-audience-tab-${name}`, label: account._(`tab.${name}`) })),
  );
  keepSelectable(field('environment'), account.environment);
  keepSelectable(field('authMethod'), account.authMethod);
  keepSelectable(field('queue'), account.queue);
  keepBox(field('encryptIds'), account.encryptIds);
  field('environment')
    .add(field('authMethod'))
    .add(field('queue'))
    .add(field('encryptIds'))
    .on('change', () => showWhatApplies(account));
  field('postsPerSecond')
    .add(field('usersPerSecond'))
    .add(field('maxConcurrent'))
    .add(field('usersPerPost'))
    .on('change input', () => showWhatLimitsMean(account));
  field('databaseUrl')
    .add(field('databaseTls'))
    .on('change input', () => showWhetherInClear(account));
  prepareKey();
  showWhatApplies(account);
  showWhetherInClear(account);
  showWhatLimitsMean(account);
  unfoldAdvanced();
  showAccountProblems(account, form);
  prepareTests(account, form);
  const place = placeFields.reduce((fields, name) => fields.add(field(name)), $());
  rememberChoice = prepareQueuedEntries(account, place, () => readFields(placeFields));
  keepNames(form);
  keepVariable(field('tls'), account.tls);
  reachConfigButtons(field('tls'), 'tls-config');
  keepVariable(field('databaseTls'), account.databaseTls);
  reachConfigButtons(field('databaseTls'), 'tls-config');
  keepVariable(field('proxy'), account.proxy);
  reachConfigButtons(field('proxy'), 'http proxy');
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
