// Connection of an account to the service: addresses, TLS and proxy, from its settings and Node-RED's config nodes.

import type { NodeAPI } from 'node-red';
import type { ServiceClientOptions, ServiceProxy, ServiceTls } from '../../../src/service/index';
import type { Problem } from '../account-api';
import { proxyFromEnvironment, type ProxyRules } from './proxy-environment';
import type { AccountSettings } from '../settings';

/** Node-RED's own `tls-config` node. */
interface TlsNode {
  addTLSOptions(options: Record<string, unknown>): ServiceTls;
}

/** Node-RED's own `http proxy` node. */
interface ProxyNode {
  readonly credentials?: { readonly username?: string; readonly password?: string };
  readonly url?: string;
  readonly noproxy?: readonly string[];
}

/**
 * What the service's client needs, or which config node is missing: without it, posts would leave by another way
 * than the one that was chosen. `sandboxUrl` is where the sandbox listens, for that environment.
 */
export function connectionOf(
  RED: NodeAPI,
  settings: AccountSettings,
  sandboxUrl: string | null,
): ServiceClientOptions | Problem {
  const { authUrl, serviceUrl, member, limits, readLimits } = settings;
  const shared = { member, maxConcurrent: limits.maxConcurrent, ...readLimits };
  if (sandboxUrl !== null) return { authUrl: sandboxUrl, serviceUrl: sandboxUrl, ...shared };
  const tls = tlsOf(RED, settings.tls);
  const proxy = chosen(RED, settings.proxy) as ProxyNode | 'missing' | null;
  if (tls === 'missing') return { key: 'error.tls_missing' };
  if (proxy === 'missing') return { key: 'error.proxy_missing' };
  return {
    authUrl,
    serviceUrl,
    ...shared,
    ...(tls !== null && { tls }),
    ...proxies(authUrl, serviceUrl, (url) =>
      proxy === null ? environmentProxy(RED, url) : chosenProxy(proxy, url),
    ),
  };
}

/** Each of the two hosts by itself: one may be an exception, or have another scheme. */
function proxies(
  authUrl: string,
  serviceUrl: string,
  proxyTo: (url: string) => ServiceProxy | null,
): Pick<ServiceClientOptions, 'authProxy' | 'serviceProxy'> {
  const [authProxy, serviceProxy] = [proxyTo(authUrl), proxyTo(serviceUrl)];
  return { ...(authProxy !== null && { authProxy }), ...(serviceProxy !== null && { serviceProxy }) };
}

function chosenProxy(proxy: ProxyNode, target: string): ServiceProxy | null {
  const { url = '', noproxy = [] } = proxy;
  const { hostname } = new URL(target);
  if (url === '' || noproxy.some((pattern) => isFor(pattern, hostname))) return null;
  const { username = '', password = '' } = proxy.credentials ?? {};
  return { uri: url, ...(username !== '' && { auth: { username, password } }) };
}

function environmentProxy(RED: NodeAPI, target: string): ServiceProxy | null {
  const { proxyOptions } = RED.settings as unknown as { readonly proxyOptions?: ProxyRules };
  const uri = proxyFromEnvironment(target, process.env, proxyOptions);
  return uri === '' ? null : { uri };
}

/** `example.com`, `.example.com` and `*.example.com` mean the host and those below it, but not `myexample.com`. */
function isFor(pattern: string, hostname: string): boolean {
  const host = pattern
    .trim()
    .toLowerCase()
    .replace(/^\*?\./, '');
  return host !== '' && (hostname === host || hostname.endsWith(`.${host}`));
}

/** What a `tls-config` node holds. */
export function tlsOf(RED: NodeAPI, id: string): ServiceTls | 'missing' | null {
  const tls = chosen(RED, id) as TlsNode | 'missing' | null;
  return tls === null || tls === 'missing' ? tls : tls.addTLSOptions({});
}

/** Null when none is chosen; one that is disabled or gone is missing. */
function chosen(RED: NodeAPI, id: string): unknown {
  if (id === '') return null;
  const found: unknown = RED.nodes.getNode(id);
  return found ?? 'missing';
}
