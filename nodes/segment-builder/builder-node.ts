// Interface of a deployed segment builder, for the routes of its form and for the erasure of users.

import type { Node } from 'node-red';
import { mentions } from '../../src/delivery/index';
import { deployedNodes } from '../shared/deployed';
import type { LastMessage } from './last-message';

export const builderType = 'xandr-segment-builder';

export interface BuilderNode extends Node {
  readonly lastMessage: LastMessage;
  /** The account that it names, by node id; '' for none. Behind a variable only the deployed node knows it. */
  readonly accountId: string;
}

/** Deletes the user from the stored last message. */
export function forgetLastMessagesOf(userId: string): void {
  const named = mentions(userId);
  for (const { lastMessage } of deployedNodes<BuilderNode>(builderType)) lastMessage.forget(named);
}
