// Button that loads the last message of the deployed node into the preview.
import type { EditorNode, EditorRed } from '../../types/red-editor';
import type { TakenMessage } from '../admin';

declare const RED: EditorRed;

export class TakeButton {
  private readonly says = $('#instant-audience-taken');
  private closed = false;

  constructor(
    private readonly node: EditorNode<object>,
    private readonly use: (text: string) => void,
  ) {
    $('#instant-audience-take').on('click', () => this.take());
  }

  forget(): void {
    this.says.text('');
  }

  close(): void {
    this.closed = true;
  }

  private take(): void {
    $.ajax({
      url: `instant-audience/builder/${encodeURIComponent(this.node.id)}/last-message`,
      method: 'POST',
      dataType: 'json',
    }).then(
      (taken: TakenMessage) => this.answered(taken),
      (reply: unknown) => {
        const { status } = reply as JQuery.jqXHR;
        this.say(status === 401 || status === 403 ? 'notPermitted' : 'noAnswer');
      },
    );
  }

  private answered(taken: TakenMessage): void {
    if (this.closed) return;
    if ('code' in taken) {
      this.say(taken.code);
      return;
    }
    this.say('taken', { time: new Date(taken.atMs).toLocaleTimeString(RED.i18n.lang()) });
    this.use(JSON.stringify(JSON.parse(taken.message), null, 2));
  }

  private say(name: string, params?: Record<string, unknown>): void {
    if (!this.closed) this.says.text(this.node._(`segment-builder.take.${name}`, params));
  }
}
