// How the accounts of an engine reach the service: accounts with the same login over the same connection share one, which
// keeps its client, its token and its count of logins.

import type { Clock } from '../clock';
import type { ServiceClient } from '../service/client';
import { sameLogin, type Login as ServiceLogin } from '../service/login/login';
import type { LoginCount } from '../service/login/login-count';
import { TokenKeeper } from '../service/login/tokens';
import type { Engine } from './engine';
import type { Log } from './engine-options';
import type { LeaseRequest } from './lease-request';
import { TroubleLog } from './monitor/trouble-log';
import type { Login } from './schedule/login';

/** A way to the service and a login for it, used by every account that has the same. */
export interface Connection {
  readonly text: string;
  readonly login: ServiceLogin;
  readonly loginCount: LoginCount;
  readonly client: ServiceClient;
  readonly keeper: TokenKeeper;
  readonly trouble: TroubleLog;
}

export interface ConnectionsParts {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly loginCount: (authOrigin: string, username: string) => LoginCount;
}

/** Requests that are on their way may still end before their client is closed. */
const closeAfterMs = 10_000;

export class Connections {
  private readonly byAccount = new Map<string, Connection>();

  constructor(private readonly parts: ConnectionsParts) {}

  of(account: string): Connection | null {
    return this.byAccount.get(account) ?? null;
  }

  count(loginCount: LoginCount): boolean {
    return [...this.byAccount.values()].some((one) => one.loginCount === loginCount);
  }

  /** Throws when the connection cannot be made. */
  connect(request: LeaseRequest): Connection {
    const same = [...this.byAccount.values()].find(
      ({ text, login }) => text === request.connection && sameLogin(login, request.login),
    );
    const connection = same ?? this.open(request);
    // For the keeper, a deploy is a sign that a refusal may be over.
    same?.keeper.replaceLogin(request.login);
    const before = this.byAccount.get(request.account);
    this.byAccount.set(request.account, connection);
    this.closeUnused(before);
    return connection;
  }

  private open({ login, authOrigin, connection, connect }: LeaseRequest): Connection {
    const { engine, clock, random, log } = this.parts;
    const client = connect();
    const loginCount = this.parts.loginCount(authOrigin, login.username);
    const keeper = new TokenKeeper({
      login,
      authenticate: (its) => client.authenticate(its),
      clock,
      random,
      logins: loginCount,
      loginStore: engine.loginTimes,
    });
    const trouble = new TroubleLog((level, text) => {
      engine.monitor.logged(level, text);
      log(level, text);
    });
    return { text: connection, login, loginCount, client, keeper, trouble };
  }

  /** As the engine uses it. */
  loginOf(account: string, { client, keeper, trouble }: Connection): Login {
    return {
      account,
      token: async () => {
        const outcome = await keeper.token();
        trouble.token(outcome);
        return outcome;
      },
      refused: (token) => keeper.refused(token),
      post: async (body, token, mayLeave) => {
        const outcome = await client.post(body, token, mayLeave);
        if (outcome.kind === 'accepted') keeper.accepted(token);
        trouble.post(outcome);
        return outcome;
      },
      networkFloorMs: () => client.networkFloorMs(this.parts.clock.monoMs()),
    };
  }

  /** The account is gone. */
  forget(account: string): void {
    const connection = this.byAccount.get(account);
    this.byAccount.delete(account);
    this.closeUnused(connection);
  }

  closeAll(): void {
    for (const { client } of new Set(this.byAccount.values())) this.closeLater(client);
  }

  private closeUnused(connection: Connection | undefined): void {
    if (connection === undefined || [...this.byAccount.values()].includes(connection)) return;
    this.closeLater(connection.client);
  }

  private closeLater(client: ServiceClient): void {
    this.parts.clock.after(closeAfterMs, () => void client.close().catch(() => undefined));
  }
}
