// Sections of the documentation that sidebar, errors and log name. The build checks that each address exists.
import type { Words } from './words';

const sections = {
  codes: {
    href: 'resources/@instant-audience/node-red-xandr/docs/troubleshooting.html#codes-of-rejected-entries',
    title: 'Troubleshooting, Codes of rejected entries',
  },
  status: {
    href: 'resources/@instant-audience/node-red-xandr/docs/troubleshooting.html#status',
    title: 'Troubleshooting, Status',
  },
  segments: {
    href: 'resources/@instant-audience/node-red-xandr/docs/troubleshooting.html#segments',
    title: 'Troubleshooting, Segments',
  },
  caps: {
    href: 'resources/@instant-audience/node-red-xandr/docs/operations.html#the-queue-and-its-caps',
    title: 'Monitor and operate, The queue and its caps',
  },
  orphaned: {
    href: 'resources/@instant-audience/node-red-xandr/docs/operations.html#queues-that-no-account-uses',
    title: 'Monitor and operate, Queues that no account uses',
  },
  database: {
    href: 'resources/@instant-audience/node-red-xandr/docs/several-machines.html#3-fill-in-the-account',
    title: 'Several instances, 3. Fill in the account',
  },
} as const;

export type Section = keyof typeof sections;

/** Address of a section, relative to the editor. */
export function docsAddress(section: Section): string {
  return sections[section].href;
}

/** A sentence, and where the documentation has more, both in one language: that of the server, or English without `words`. */
export function withSection(sentence: string, section: Section, words?: Words): string {
  const { title } = sections[section];
  const see =
    words === undefined
      ? `See the documentation: ${title}.`
      : words._('@instant-audience/node-red-xandr/xandr-account:see', { section: title });
  // A text of the service or the database may end without a full stop.
  return `${sentence.replace(/(?<=[\p{L}\p{N})”"])$/u, '.')} ${see}`;
}
