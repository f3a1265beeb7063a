// The button that takes the last message that passed the deployed node.
//
// The runtime keeps one only while this form asks for it: it asks from the moment it opens, so that there is one to
// take, and stops when it closes.
import type { EditorNode, EditorRed } from '../../types/red-editor';

declare const RED: EditorRed;

interface Answer {
  readonly message: string | null;
  readonly atMs?: number;
}

const askEveryMs = 10_000;
const waitEveryMs = 1000;

export class TakeButton {
  private readonly says = $('#instant-audience-taken');
  private waits = false;
  private closed = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly node: EditorNode<object>,
    private readonly use: (text: string) => void,
  ) {
    $('#instant-audience-take').on('click', () => {
      this.waits = !this.waits;
      this.says.text(this.waits ? this.word('waiting') : '');
      if (this.waits) this.ask();
    });
    this.ask();
  }

  forget(): void {
    this.waits = false;
    this.says.text('');
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
  }

  private ask(): void {
    clearTimeout(this.timer);
    $.ajax({
      url: `instant-audience/builder/${encodeURIComponent(this.node.id)}/last-message`,
      method: 'POST',
      dataType: 'json',
    }).then(
      (answer: Answer) => this.answered(answer),
      (reply: unknown) => this.failed((reply as JQuery.jqXHR).status),
    );
  }

  private answered({ message, atMs }: Answer): void {
    if (this.closed) return;
    if (message !== null && this.waits) {
      this.waits = false;
      this.says.text(this.word('taken', { time: new Date(atMs ?? 0).toLocaleTimeString(RED.i18n.lang()) }));
      this.use(JSON.stringify(JSON.parse(message), null, 2));
    }
    this.timer = setTimeout(() => this.ask(), this.waits ? waitEveryMs : askEveryMs);
  }

  /** Nothing is said before somebody wants a message. */
  private failed(status: number): void {
    if (this.closed) return;
    const reasons: Readonly<Record<number, string>> = {
      401: 'notPermitted',
      403: 'notPermitted',
      404: 'notDeployed',
      413: 'tooLarge',
    };
    if (this.waits) this.says.text(this.word(reasons[status] ?? 'noAnswer'));
    this.waits = false;
    // It may be deployed while the form is open, by somebody else.
    this.timer = setTimeout(() => this.ask(), askEveryMs);
  }

  private word(name: string, params?: Record<string, unknown>): string {
    return this.node._(`segment-builder.take.${name}`, params);
  }
}
