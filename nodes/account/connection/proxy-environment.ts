// Proxy from the environment, by the rules of Node-RED's own nodes (`http request`, `websocket`).
//
// Node-RED keeps them in `lib/proxyHelper.js` of its core nodes, which no other package can load; a test compares.

/** `proxyOptions` of Node-RED's settings file. */
export interface ProxyRules {
  readonly mode?: unknown;
  readonly favourUpperCase?: unknown;
  readonly lowerCaseOnly?: unknown;
  readonly excludeNpm?: unknown;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** The proxy's URL, or '' for none. `NR_PROXY_MODE` goes before the settings' own mode. */
export function proxyFromEnvironment(address: string, env: Environment, rules: ProxyRules = {}): string {
  const asked = either(env, 'nr_proxy_mode', 'NR_PROXY_MODE');
  const mode = asked === 'legacy' || asked === 'strict' ? asked : rules.mode;
  return mode === 'legacy' ? legacyProxy(address, env) : strictProxy(new URL(address), env, rules);
}

/** As in Node-RED before 3.1: one proxy for everything, with exceptions that match anywhere in the address. */
function legacyProxy(address: string, env: Environment): string {
  const exceptions = either(env, 'NO_PROXY', 'no_proxy');
  const isExempt = exceptions.split(',').some((exception) => address.includes(exception.trim()));
  if (exceptions !== '' && isExempt) return '';
  return either(env, 'HTTP_PROXY', 'http_proxy');
}

function strictProxy(url: URL, env: Environment, rules: ProxyRules): string {
  const read = (name: string): string => variable(name, env, rules);
  const scheme = url.protocol.slice(0, -1);
  const port = Number(url.port) || (scheme === 'https' ? 443 : 80);
  const exceptions = (read('npm_config_no_proxy') || read('no_proxy')).toLowerCase();
  if (isException(url.hostname, port, exceptions)) return '';
  const proxy =
    read(`npm_config_${scheme}_proxy`) ||
    read(`${scheme}_proxy`) ||
    read('npm_config_proxy') ||
    read('all_proxy');
  return proxy === '' || proxy.includes('://') ? proxy : `${scheme}://${proxy}`;
}

function variable(name: string, env: Environment, rules: ProxyRules): string {
  if (rules.excludeNpm === true && name.startsWith('npm_config_')) return '';
  const upper = name.toUpperCase();
  if (rules.lowerCaseOnly === true) return env[name] ?? '';
  return rules.favourUpperCase === true ? either(env, upper, name) : either(env, name, upper);
}

/** An empty variable counts as unset. */
function either(env: Environment, first: string, second: string): string {
  const value = env[first] ?? '';
  return value === '' ? (env[second] ?? '') : value;
}

/** `name`, `.name` and `*name` for all hosts with this ending, each with or without `:port`; `*` alone for everything. */
function isException(hostname: string, port: number, exceptions: string): boolean {
  if (exceptions === '*') return true;
  return exceptions.split(/[,\s]/).some((exception) => {
    const [, name = exception, itsPort] = /^(.+):(\d+)$/.exec(exception) ?? [];
    if (name === '' || (Number(itsPort ?? 0) !== 0 && Number(itsPort) !== port)) return false;
    if (!/^[.*]/.test(name)) return hostname === name;
    return hostname.endsWith(name.startsWith('*') ? name.slice(1) : name);
  });
}
