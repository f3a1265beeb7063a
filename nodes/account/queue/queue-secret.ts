// Secret for encrypted queues: the one with which Node-RED encrypts its credentials file.

import type { NodeAPI } from 'node-red';

/** Node-RED's settings, as its nodes get them; its types lack `get`, which also reads what Node-RED keeps by itself. */
type Settings = Partial<NodeAPI['settings']> & { get?(name: string): unknown };

interface Projects {
  readonly activeProject?: string;
  readonly projects?: Readonly<Record<string, { readonly credentialSecret?: unknown }>>;
}

/**
 * The secret in use, then the one that it took the place of, if Node-RED still has it; none when Node-RED does not
 * encrypt its credentials. Node-RED looks in the same places in the same order (`@node-red/runtime`,
 * lib/nodes/credentials.js, `load`): an active project has its own, `credentialSecret` of the settings file comes next,
 * then the one that it made itself.
 */
export function queueSecrets({ settings }: { readonly settings: Settings }): readonly string[] {
  const read = (name: string): unknown => {
    try {
      return settings.get?.(name);
    } catch {
      // No storage for settings, so that none are kept.
      return undefined;
    }
  };
  const texts = (...values: unknown[]): string[] =>
    values.filter((value): value is string => typeof value === 'string' && value !== '');
  const project = activeProject(read('editorTheme'), read('projects'));
  if (project !== null) return texts(project.credentialSecret);
  const own = read('credentialSecret');
  return own === false ? [] : texts(own, read('_credentialSecret'));
}

function activeProject(theme: unknown, kept: unknown): { readonly credentialSecret?: unknown } | null {
  const isOn = (theme as { projects?: { enabled?: unknown } } | undefined)?.projects?.enabled === true;
  const { activeProject: name, projects } = (kept ?? {}) as Projects;
  if (!isOn || name === undefined || name === '') return null;
  return projects?.[name] ?? {};
}
