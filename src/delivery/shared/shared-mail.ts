// Letters between the processes that share a log: ends of entries, orders of operators and their answers.

import { randomUUID } from 'node:crypto';

import * as z from 'zod';

import type { Instance, Letter, SharedLog } from '../../queue/shared-log';
import type { Clock } from '../../clock';
import type { Deleted } from '../respond/deletions';
import { asOutboxError } from '../respond/not-accepted';

const user = { userKeys: z.array(z.string()).readonly(), userId: z.string() };
/** Up to where the log went when it was asked for: a letter that comes late reaches nothing newer. */
const inLog = { throughSeq: z.number() };
/** When it was asked for, in epoch ms by the log's clock, for the same reason. */
const kept = { askedMs: z.number() };
const orderSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.enum(['flush', 'pause', 'resume']) }),
  z.object({ kind: z.literal('purge'), ...inLog }),
  z.object({ kind: z.literal('erase'), ...inLog, ...user }),
  /** What a process keeps on its own machine. It may come to another one, once that process is gone. */
  z.object({ kind: z.literal('purgeKept'), instance: z.string(), ...kept }),
  /** What the process that gets it keeps of a user on its own machine. */
  z.object({ kind: z.literal('forget'), ...kept, ...user }),
]);
export type Order = z.infer<typeof orderSchema>;

const orderLetter = z.object({ id: z.string(), from: z.string(), order: orderSchema });
const answerLetter = z.object({
  id: z.string(),
  deleted: z.object({ entries: z.number(), inFlight: z.number() }).optional(),
  error: z.string().optional(),
});

export interface MailboxParts {
  readonly log: SharedLog;
  readonly instance: Instance;
  readonly clock: Clock;
  /** Takes the text of a letter that tells ends. */
  readonly ended: (text: string) => void;
  readonly carryOut: (order: Order) => Promise<Deleted>;
  /** Whether orders for the holder are this process's to carry out now. */
  readonly isHolder: () => boolean;
  readonly write: (level: 'warn' | 'error', text: string) => void;
}

interface Asked {
  readonly resolve: (deleted: Deleted) => void;
  readonly reject: (error: Error) => void;
  readonly cancel: () => void;
}

const lettersPerCall = 50;
/** A new holder may have to be found first, and a purge takes as long as there are entries to read. */
const answerWithinMs = 120_000;
const retryMs = 1_000;

export class Mailbox {
  /** Up to here letters were read and acted on; the next call deletes them. */
  private afterId = 0;
  private looking = false;
  private lookAgain = false;
  private closed = false;
  private readonly asked = new Map<string, Asked>();
  private cancelRetry: (() => void) | null = null;

  constructor(private readonly parts: MailboxParts) {}

  /** Reads what has come. */
  look(): void {
    if (this.closed) return;
    if (this.looking) {
      this.lookAgain = true;
      return;
    }
    this.looking = true;
    this.lookAgain = false;
    void this.readAll().finally(() => {
      this.looking = false;
      if (this.lookAgain) this.look();
    });
  }

  private async readAll(): Promise<void> {
    const { log, instance } = this.parts;
    try {
      for (;;) {
        const letters = await log.mail(instance, this.afterId, lettersPerCall);
        if (letters.length === 0 || this.closed) return;
        for (const letter of letters) {
          this.take(letter);
          this.afterId = letter.id;
        }
      }
    } catch {
      // The log tells its own trouble.
      this.cancelRetry?.();
      this.cancelRetry = this.parts.clock.after(retryMs, () => this.look());
    }
  }

  private take({ kind, text }: Letter): void {
    try {
      if (kind === 'ended') this.parts.ended(text);
      else if (kind === 'order') this.ordered(orderLetter.parse(JSON.parse(text)));
      else this.answered(answerLetter.parse(JSON.parse(text)));
    } catch (error) {
      this.parts.write(
        'error',
        `A letter in the shared queue makes no sense: ${asOutboxError(error).message}`,
      );
    }
  }

  private ordered({ id, from, order }: z.infer<typeof orderLetter>): void {
    const { log, carryOut } = this.parts;
    void carryOut(order)
      .then(
        (deleted) => JSON.stringify({ id, deleted }),
        (error: unknown) => JSON.stringify({ id, error: asOutboxError(error).message }),
      )
      .then((text) => log.send(from, 'answer', text))
      .catch(() => undefined);
  }

  private answered({ id, deleted, error }: z.infer<typeof answerLetter>): void {
    const asked = this.asked.get(id);
    if (asked === undefined) return;
    this.asked.delete(id);
    asked.cancel();
    if (deleted !== undefined) asked.resolve(deleted);
    else asked.reject(new Error(error ?? ''));
  }

  /** Has the holder carry an order out. Rejects when that cannot be done, or nobody answers. */
  ask(order: Order): Promise<Deleted> {
    const { log, instance, clock, isHolder, carryOut } = this.parts;
    if (isHolder()) return carryOut(order);
    const id = randomUUID();
    return new Promise((resolve, reject) => {
      const cancel = clock.after(answerWithinMs, () => {
        this.asked.delete(id);
        reject(new Error('None of the Node-REDs that share this queue has answered; try again later.'));
      });
      this.asked.set(id, { resolve, reject, cancel });
      log.send(null, 'order', JSON.stringify({ id, from: instance.id, order })).catch((error: unknown) => {
        this.asked.delete(id);
        cancel();
        reject(asOutboxError(error));
      });
    });
  }

  /** Tells one process something that it need not answer. */
  tell(to: string, order: Order): void {
    const { log, instance } = this.parts;
    const text = JSON.stringify({ id: randomUUID(), from: instance.id, order });
    log.send(to, 'order', text).catch(() => undefined);
  }

  close(): void {
    this.closed = true;
    this.cancelRetry?.();
    for (const { reject, cancel } of this.asked.values()) {
      cancel();
      reject(new Error('The queue was closed before this was done.'));
    }
    this.asked.clear();
  }
}
