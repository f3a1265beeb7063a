// Parts of the account's form that show or fold with what is chosen.
import { travelsInClear, databaseUrlOf } from '../../../src/queue-postgres/postgres-url';
import { languageOf } from '../../shared/figures';
import { problemsInForm, variableIn } from '../../shared/saved';
import { accountSchema, numbers, type NumberProperty } from '../schema';
import { documentedWords, exceedsDocumented, meaningOf, type Limits } from './limits';
import { field, value, type Account } from './values';

export function showWhatApplies(account: Account): void {
  const environment = value('environment');
  const queue = value('queue');
  const known = ['sandbox', 'production', 'custom'].includes(environment);
  $('#instant-audience-environment-hint').text(account._(`environment.${known ? environment : 'other'}Hint`));
  $('.instant-audience-maybe-sandbox').toggle(environment === 'sandbox' || !known);
  $('.instant-audience-not-sandbox').toggle(environment !== 'sandbox');
  $('.instant-audience-only-custom').toggle(environment === 'custom' || !known);
  $('.instant-audience-only-password').toggle(value('authMethod') !== 'jwt');
  $('.instant-audience-only-jwt').toggle(value('authMethod') !== 'password');
  $('.instant-audience-only-shared').toggle(queue !== 'disk' && queue !== 'memory');
  $('.instant-audience-only-fields').toggle(value('databaseBy') !== 'url');
  $('.instant-audience-only-url').toggle(value('databaseBy') !== 'fields');
  // A shared queue refuses it: then there is only a box to clear.
  const isTicked = field('encryptIds').prop('checked') === true;
  $('.instant-audience-encryption').toggle(queue !== 'memory' && (queue !== 'shared' || isTicked));
  const queueHint = ['disk', 'memory', 'shared'].includes(queue) ? queue : 'other';
  $('#instant-audience-queue-hint').text(account._(`queue.${queueHint}Hint`));
}

/** The list of configuration nodes shows while the box is ticked; clearing the box chooses none. */
export function foldBehind(box: JQuery, list: JQuery): void {
  const row = list.closest('.form-row');
  const none = '_ADD_';
  let chosen = String(list.val() ?? none);
  box.prop('checked', !['', none].includes(chosen));
  row.toggle(box.prop('checked') === true);
  box.on('change', () => {
    const isTicked = box.prop('checked') === true;
    if (!isTicked) chosen = String(list.val() ?? none);
    row.toggle(isTicked);
    list.val(isTicked ? chosen : none).trigger('change');
  });
}

/** The password, or URL, that is stored is not known here: of that the test of the database and the log warn. */
export function showWhetherInClear(account: Account): void {
  const fields = databaseUrlOf({
    hosts: value('databaseHost'),
    port: numbers.databasePort.usual,
    ...{ database: '', user: '', password: '' },
  });
  const url = value('databaseBy') === 'url' ? value('databaseUrl') : fields;
  const isClear = travelsInClear(url, !['', '_ADD_'].includes(value('databaseTls')));
  $('#instant-audience-database-clear').text(isClear ? account._('account.databaseInClear') : '');
}

function readLimits(): Limits {
  return {
    posts: Number(value('postsPerSecond')),
    users: Number(value('usersPerSecond')),
    concurrent: Number(value('maxConcurrent')),
  };
}

/** The sentences below the limits; none while one of them is not a number yet. */
function limitsSentences(account: Account): readonly string[] {
  const properties = ['postsPerSecond', 'usersPerSecond', 'usersPerPost'] as const;
  if (properties.some((property) => variableIn(value(property)) !== null)) {
    return [account._('limits.fromEnvironment')];
  }
  const values = Object.fromEntries(properties.map((property) => [property, value(property)]));
  if (problemsInForm(accountSchema(values), values).length > 0) return [];
  const meaning = meaningOf(readLimits(), Number(value('usersPerPost')), languageOf(account));
  return ['limits.meaning', 'limits.slow'].map((key) => account._(key, { ...meaning }));
}

export function showWhatLimitsMean(account: Account): void {
  const [meaning = '', slow = ''] = limitsSentences(account);
  $('#instant-audience-limits-meaning').text(meaning);
  $('#instant-audience-limits-slow').text(slow);
  $('#instant-audience-limits-above')
    .text(account._('limits.aboveService', documentedWords(languageOf(account))))
    .toggle(exceedsDocumented(readLimits()));
}

const folded: Readonly<Record<string, readonly NumberProperty[]>> = {
  'instant-audience-advanced': [
    'usersPerPost',
    'blocksPerUser',
    'maxBodyBytes',
    'readsPerSecond',
    'apiReadsPerMinute',
  ],
  'instant-audience-sandbox-details': ['sandboxWarmUpMinutes', 'sandboxDefaultExpirationMinutes'],
};

/** What somebody has changed, or what is wrong, is not hidden. */
export function unfoldChanged(): void {
  for (const [id, names] of Object.entries(folded))
    $(`#${id}`).prop(
      'open',
      names.some((name) => value(name) !== String(numbers[name].usual)),
    );
}
