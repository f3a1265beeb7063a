// The account node in the editor: its defaults, its validators, and a form that shows what its choices need.
import type { EditorNode, EditorRed } from '../types/red-editor';
import {
  checkProperty,
  isFromEnvironment,
  numberProperties,
  type CheckedProperty,
  type Problem,
  type Reader,
} from './checks';
import { documentedWords, exceedsDocumented, meaningOf, type Limits } from './editor/limits';

declare const RED: EditorRed;

/** Saved properties; figures are text where they are `${ENV}`. */
interface AccountProperties {
  name: string;
  environment: string;
  authUrl: string;
  serviceUrl: string;
  member: string;
  authMethod: string;
  keyName: string;
  postsPerSecond: number | string;
  usersPerSecond: number | string;
  maxConcurrent: number | string;
  queue: string;
  queueMaxEntries: number | string;
  queueMaxMb: number | string;
  warnAfterMinutes: number | string;
  encryptIds: boolean;
  tls: string;
  proxy: string;
}

interface AccountCredentials {
  username: string;
  password: string;
  privateKey: string;
  databaseUrl: string;
}

type Account = EditorNode<AccountProperties>;

type CredentialName = keyof AccountCredentials;
const credentialNames: readonly CheckedProperty[] = ['username', 'password', 'privateKey', 'databaseUrl'];

function isCredential(property: CheckedProperty): property is CredentialName {
  return credentialNames.includes(property);
}

/** The account whose form is open: its validators read the fields, all others what was saved. */
let open: Account | null = null;

function setOpen(account: Account | null): void {
  open = account;
}

function field(property: string): JQuery {
  return $(`#node-config-input-${property}`);
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

/** The editor knows user names, and of a password only whether there is one. */
function savedCredential(credentials: Record<string, unknown>, name: string): string {
  const stored = credentials[`has_${name}`] === true ? '__PWRD__' : '';
  return asText(credentials[name]) ?? stored;
}

function readerOf(account: Account): Reader {
  return (property) => {
    if (account === open) {
      return asText(field(property).val());
    }
    return isCredential(property)
      ? savedCredential(account.credentials ?? {}, property)
      : asText(account[property]);
  };
}

function sentence(account: Account, problem: Problem | null): true | string {
  return problem === null ? true : account._(problem.key, problem.params);
}

/** A validator of Node-RED 3 and later: two parameters, and a sentence for what is wrong. */
function valid(property: CheckedProperty) {
  return function (this: Account, value: unknown, _options: unknown): true | string {
    const others = readerOf(this);
    return sentence(
      this,
      checkProperty(property, (name) => (name === property ? asText(value) : others(name))),
    );
  };
}

/**
 * Node-RED validates credentials in the open form only, so a missing one would not show in the red triangle.
 * Outside the form, the choice of the login speaks for them, as far as the editor knows them.
 */
function validLogin(this: Account, value: unknown, _options: unknown): true | string {
  const chosen = valid('authMethod').call(this, value, _options);
  if (chosen !== true || this === open || this.credentials === undefined) {
    return chosen;
  }
  const read = readerOf(this);
  for (const name of ['username', 'password', 'privateKey'] as const) {
    const found = checkProperty(name, read);
    if (found !== null) {
      return sentence(this, found);
    }
  }
  return true;
}

function value(property: string): string {
  return (asText(field(property).val()) ?? '').trim();
}

/** A value that the list does not offer, such as `${ENV}` from a file, must survive opening the form. */
function keepSelectable(property: string, saved: unknown, label: (text: string) => string): void {
  const text = asText(saved);
  const known = field(property)
    .find('option')
    .toArray()
    .some((option) => option.value === text);
  if (text !== undefined && text !== '' && !known) {
    field(property)
      .append($('<option>').val(text).text(label(text)))
      .val(text);
  }
}

function showWhatApplies(account: Account): void {
  const environment = value('environment');
  const queue = value('queue');
  const known = ['sandbox', 'production', 'custom'].includes(environment);
  $('#instant-audience-environment-hint').text(account._(`environment.${known ? environment : 'other'}Hint`));
  $('.instant-audience-only-sandbox').toggle(environment === 'sandbox');
  $('.instant-audience-not-sandbox').toggle(environment !== 'sandbox');
  $('.instant-audience-only-custom').toggle(environment === 'custom' || !known);
  $('.instant-audience-only-password').toggle(value('authMethod') !== 'jwt');
  $('.instant-audience-only-jwt').toggle(value('authMethod') !== 'password');
  $('.instant-audience-only-shared').toggle(queue === 'shared');
  const queueHint = ['disk', 'memory', 'shared'].includes(queue) ? queue : 'other';
  $('#instant-audience-queue-hint').text(account._(`queue.${queueHint}Hint`));
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
  const properties = ['postsPerSecond', 'usersPerSecond', 'maxConcurrent'] as const;
  if (properties.some((property) => isFromEnvironment(value(property)))) {
    return account._('limits.fromEnvironment');
  }
  const wrong = properties.some((property) => checkProperty(property, () => value(property)) !== null);
  return wrong ? '' : account._('limits.meaning', { ...meaningOf(readLimits(), RED.i18n.lang()) });
}

function showWhatLimitsMean(account: Account): void {
  $('#instant-audience-limits-meaning').text(limitsSentence(account));
  $('#instant-audience-limits-above')
    .text(account._('limits.aboveService', documentedWords(RED.i18n.lang())))
    .toggle(exceedsDocumented(readLimits()));
}

function makeTabs(account: Account): void {
  const tabs = RED.tabs.create({
    id: 'instant-audience-account-tabs',
    onchange: (tab: { id: string }) => {
      $('#instant-audience-account-tabs-content').children().hide();
      $(`#${tab.id}`).show();
    },
  });
  for (const name of ['connection', 'limits', 'queue']) {
    tabs.addTab({ id: `instant-audience-tab-${name}`, label: account._(`tab.${name}`) });
  }
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

RED.nodes.registerType<AccountProperties, AccountCredentials>('instant-audience-account', {
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
    queue: { value: 'disk', validate: valid('queue') },
    queueMaxEntries: { value: 5000000, validate: valid('queueMaxEntries') },
    queueMaxMb: { value: 2048, validate: valid('queueMaxMb') },
    warnAfterMinutes: { value: 2, validate: valid('warnAfterMinutes') },
    encryptIds: { value: false },
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
    return this.name || describe(this);
  },
  labelStyle: function () {
    return this.name ? 'node_label_italic' : '';
  },
  oneditprepare: function () {
    setOpen(this);
    makeTabs(this);
    keepSelectable('environment', this.environment, (text) => text);
    keepSelectable('authMethod', this.authMethod, (text) => text);
    keepSelectable('queue', this.queue, (text) => (text === 'shared' ? this._('queue.shared') : text));
    field('environment')
      .add(field('authMethod'))
      .add(field('queue'))
      .on('change', () => showWhatApplies(this));
    field('postsPerSecond')
      .add(field('usersPerSecond'))
      .add(field('maxConcurrent'))
      .on('change input', () => showWhatLimitsMean(this));
    // The editor validates at `paste` before the text has arrived.
    field('privateKey').on('input', () => field('privateKey').trigger('change'));
    // A stored key is shown as dots of no meaning: typing or pasting must replace all of them.
    field('privateKey').on('focus', function () {
      if (this instanceof HTMLTextAreaElement && this.value === '__PWRD__') {
        this.select();
      }
    });
    showWhatApplies(this);
    showWhatLimitsMean(this);
  },
  oneditsave: function () {
    saveNumbers(this);
    setOpen(null);
  },
  oneditcancel: function () {
    setOpen(null);
  },
  oneditdelete: function () {
    setOpen(null);
  },
});
