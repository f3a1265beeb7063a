// Replaces the service's HTTP client; its gate for calls in flight is the real one.
import { CallGate } from '../../../src/service/http/exchange';
import type { ServiceClient } from '../../../src/service/client';
import type { Login } from '../../../src/service/login/login';
import type { AuthOutcome, PostOutcome } from '../../../src/service/reply/outcome';
import type { Caller, SimService } from './service';

const heldBack = {
  kind: 'retriable',
  ambiguous: false,
  code: 'held_back',
  message: 'nothing was sent',
} as const;

export class SimClient {
  readonly #gate: CallGate;

  constructor(
    private readonly service: SimService,
    private readonly caller: Caller,
    maxConcurrent: number,
  ) {
    this.#gate = new CallGate(maxConcurrent);
  }

  /** `mayLeave` is called right before the request is written. */
  post(body: string, token: string, mayLeave = (): boolean => true): Promise<PostOutcome> {
    return this.#gate.run(() =>
      mayLeave() ? this.service.post(body, token, this.caller) : Promise.resolve(heldBack),
    );
  }

  authenticate(login: Login): Promise<AuthOutcome> {
    return this.#gate.run(() => this.service.authenticate(login.username, this.caller));
  }

  networkFloorMs(): number {
    return this.service.floorMs;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** With the type that engines use. */
  asServiceClient(): ServiceClient {
    return this as unknown as ServiceClient;
  }
}
