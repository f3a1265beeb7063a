// Connection of the tab to the runtime, active only while the tab is visible.
import type { ShownOrphaned } from '../../account/queue/orphaned-queues';
import type { IdleAccount, ShownQueue, ShownSegment } from '../overview';
import type { Sample } from '../../../src/delivery/index';
import type { SidebarRed } from '../../types/red-sidebar';
import { call } from './calls';

declare const RED: SidebarRed;

export interface Update {
  readonly queues: readonly ShownQueue[];
  readonly idle: readonly IdleAccount[];
  readonly orphaned: readonly ShownOrphaned[];
  /** Null when no sandbox runs. */
  readonly sandbox: readonly ShownSegment[] | null;
  /** Epoch ms, by the runtime's clock. */
  readonly atMs: number;
  /** The last hour of queues that are new here. */
  readonly histories: Readonly<Record<string, readonly Sample[]>>;
}

/** Updates arrive at least every ten seconds. Without any, the tab subscribes again, since the connection may have changed. */
const silenceMs = 25_000;

export class Connection {
  private watching = false;
  private onScreen = false;
  private heardAtMs = 0;

  constructor(
    private readonly root: HTMLElement,
    private readonly show: (update: Update) => void,
  ) {}

  start(): void {
    RED.comms.subscribe('instant-audience/overview', (_topic, data) => {
      this.heardAtMs = Date.now();
      if (this.watching) this.show(data as Update);
    });
    // Whatever hides the tab: another tab, a closed sidebar, a browser window in the background.
    new IntersectionObserver((entries) => {
      this.onScreen = entries.some(({ isIntersecting }) => isIntersecting);
      this.look();
    }).observe(this.root);
    document.addEventListener('visibilitychange', () => this.look());
    window.setInterval(() => {
      if (this.watching && Date.now() > this.heardAtMs + silenceMs) void this.watch();
    }, silenceMs);
  }

  private look(): void {
    const wanted = this.onScreen && !document.hidden;
    if (wanted === this.watching) return;
    this.watching = wanted;
    if (wanted) void this.watch();
    else RED.comms.send('instant-audience/unwatch', {});
  }

  private async watch(): Promise<void> {
    this.heardAtMs = Date.now();
    const reply = await call('POST', 'tab/watch', {});
    const { ticket } = reply.body;
    if (typeof ticket === 'string' && this.watching) RED.comms.send('instant-audience/watch', { ticket });
  }
}
