// Test button of the form, with the result as a sentence; tests the values in the form, saved or not.
import { post } from '../../shared/editor/post';
import { figuresOf } from '../../shared/figures';
import type { EditorNode } from '../../types/red-editor';
import { stepNames } from '../forms/connection-test';

/** The answer of the route; its sentence is in the account's catalogue. */
interface Said {
  readonly result: string;
  readonly level: 'good' | 'warning' | 'bad';
  readonly params: Record<string, string | number>;
}

interface Result extends Said {
  /** A further sentence in the account's catalogue. */
  readonly also?: string;
  /** The result of each test step that ran. */
  readonly steps?: readonly (Said & { readonly step: string })[];
  readonly problem?: { readonly key: string; readonly params?: Record<string, string | number> };
}

const icons = {
  good: 'fa-check-circle',
  warning: 'fa-exclamation-triangle',
  bad: 'fa-times-circle',
} as const;

export interface TestButton {
  /** The id of the button; its result has the same id with `-result`. */
  readonly id: string;
  /** Of the words' keys. */
  readonly asking: string;
  /** The route, below `instant-audience/account/`. */
  readonly route: string;
  /** What the fields hold, by property; a password that was not touched is `__PWRD__`, which stands for the stored one. */
  readonly read: () => Record<string, string>;
}

export function prepareTestButton(
  account: EditorNode<object>,
  form: JQuery,
  { id, asking, route, read }: TestButton,
): void {
  const button = $(`#${id}`);
  const place = $(`#${id}-result`);
  // After a change of the form, the answer is outdated.
  let asked = 0;
  const show = (level: Result['level'] | '', text: string): void => {
    place.attr('data-level', level).empty();
    if (level !== '') {
      place.append($('<i>', { class: `fa fa-fw ${icons[level]}`, 'aria-hidden': 'true' }), ' ');
    }
    place.append(document.createTextNode(text));
  };
  const enable = (enabled: boolean): void => void button.prop('disabled', !enabled);

  button.on('click', () => {
    const mine = ++asked;
    enable(false);
    show('', account._(asking));
    const answered = (result: Result): void => {
      if (mine !== asked) return;
      enable(true);
      show(result.level, sentenceOf(account, result));
      if (result.steps !== undefined) place.append(stepList(account, result, result.steps));
    };
    post(`account/${route}`, { id: account.id, values: read() }).then(
      (result: Result) => answered(result),
      (reply: unknown) => answered(ofFailedCall((reply as JQuery.jqXHR).status)),
    );
  });
  form.on('input change', () => {
    asked += 1;
    enable(true);
    show('', '');
  });
}

/** One line a test step: its result, and the problem if the first sentence does not name it. */
function stepList(account: EditorNode<object>, whole: Said, steps: NonNullable<Result['steps']>): JQuery {
  const lines = stepNames.map((name) => {
    const step = steps.find((one) => one.step === name);
    const words =
      step === undefined
        ? account._('testStep.notAsked')
        : step.level === 'good'
          ? account._('testStep.works')
          : step.result === whole.result
            ? account._('testStep.failed')
            : account._(`test.${step.result}`, step.params);
    const icon = step === undefined ? 'fa-minus' : icons[step.level];
    return $('<li>', { 'data-level': step?.level ?? '' }).append(
      $('<i>', { class: `fa fa-fw ${icon}`, 'aria-hidden': 'true' }),
      document.createTextNode(` ${account._(`testStep.${name}`)}: ${words}`),
    );
  });
  return $('<ul>').append(lines);
}

function sentenceOf(account: EditorNode<object>, { result, params, also, problem }: Result): string {
  if (problem !== undefined) return account._(problem.key, problem.params);
  const waiting = Number(params.waiting ?? 0);
  const sentence = account._(`test.${result}`, { ...params, ...figuresOf({ waiting }, account) });
  return also === undefined ? sentence : `${sentence} ${account._(also)}`;
}

function ofFailedCall(status: number): Result {
  const refused = status === 401 || status === 403;
  return { result: refused ? 'notPermitted' : 'noAnswer', level: 'bad', params: { status } };
}
