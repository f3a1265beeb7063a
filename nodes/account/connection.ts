// How an account reaches the service: addresses, TLS and proxy, from its saved properties and other config nodes.

import type { Node, NodeAPI } from 'node-red';
import {
  DEFAULT_AUTH_URL,
  DEFAULT_SERVICE_URL,
  type ServiceClientOptions,
  type ServiceTls,
} from '../../src/service/client';
import type { Login } from '../../src/service/login';

/** Saved properties, as Node-RED hands them over: `${ENV}` is replaced, everything may be missing. */
export interface AccountConfig {
  readonly environment?: string;
  readonly authUrl?: string;
  readonly serviceUrl?: string;
  readonly member?: string;
  readonly authMethod?: string;
  readonly keyName?: string;
  readonly postsPerSecond?: string | number;
  readonly usersPerSecond?: string | number;
  readonly maxConcurrent?: string | number;
  readonly queue?: string;
  readonly queueMaxEntries?: string | number;
  readonly queueMaxMb?: string | number;
  readonly warnAfterMinutes?: string | number;
  readonly tls?: string;
  readonly proxy?: string;
}

export interface AccountCredentials {
  readonly username?: string;
  readonly password?: string;
  readonly privateKey?: string;
  readonly databaseUrl?: string;
}

/** Node-RED's own `tls-config` node. */
interface TlsNode extends Node {
  addTLSOptions(options: Record<string, unknown>): ServiceTls;
}

/** Node-RED's own `http proxy` node. */
interface ProxyNode extends Node<{ username?: string; password?: string }> {
  readonly url?: string;
  readonly noproxy?: readonly string[];
}

/** What the service's client needs; `sandboxUrl` is where the sandbox listens, for that environment. */
export function connectionOf(
  RED: NodeAPI,
  config: AccountConfig,
  sandboxUrl: string | null,
): Omit<ServiceClientOptions, 'maxConcurrent'> {
  if (sandboxUrl !== null) return { authUrl: sandboxUrl, serviceUrl: sandboxUrl };
  const custom = config.environment === 'custom';
  const authUrl = (custom && config.authUrl?.trim()) || DEFAULT_AUTH_URL;
  const serviceUrl = (custom && config.serviceUrl?.trim()) || DEFAULT_SERVICE_URL;
  return { authUrl, serviceUrl, ...tlsOf(RED, config), ...proxyOf(RED, config, serviceUrl) };
}

function tlsOf(RED: NodeAPI, config: AccountConfig): { tls?: ServiceTls } {
  const node = nodeOf(RED, config.tls) as TlsNode | null;
  return node === null ? {} : { tls: node.addTLSOptions({}) };
}

function proxyOf(
  RED: NodeAPI,
  config: AccountConfig,
  serviceUrl: string,
): Pick<ServiceClientOptions, 'proxyUri' | 'proxyAuth'> {
  const node = nodeOf(RED, config.proxy) as ProxyNode | null;
  if (node?.url === undefined || node.url === '') return {};
  const { hostname } = new URL(serviceUrl);
  if (node.noproxy?.some((host) => host !== '' && hostname.endsWith(host.trim())) === true) return {};
  const { username = '', password = '' } = node.credentials ?? {};
  return { proxyUri: node.url, ...(username !== '' && { proxyAuth: { username, password } }) };
}

function nodeOf(RED: NodeAPI, id: string | undefined): Node | null {
  // Node-RED's types promise a node; a missing or disabled one is null.
  return id === undefined || id === '' ? null : ((RED.nodes.getNode(id) as Node | null | undefined) ?? null);
}

/** The login as configured; the sandbox lets anybody in. */
export function loginOf(config: AccountConfig, credentials: AccountCredentials): Login {
  if (config.environment !== 'production' && config.environment !== 'custom') {
    return { method: 'password', username: 'sandbox', password: 'sandbox' };
  }
  const { username = '', password = '', privateKey = '' } = credentials;
  if (config.authMethod === 'jwt') {
    return { method: 'jwt', username: username.trim(), keyName: config.keyName?.trim() ?? '', privateKey };
  }
  return { method: 'password', username: username.trim(), password };
}

/** The service's address in one spelling: by it and the member accounts share an engine and an outbox. */
export function originOf(config: AccountConfig): string {
  if (config.environment !== 'production' && config.environment !== 'custom') return 'sandbox';
  const text = (config.environment === 'custom' && config.serviceUrl?.trim()) || DEFAULT_SERVICE_URL;
  const url = new URL(text);
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}
