// What all accounts of a process share: the engines, one for each service and member, and the sandbox.

import { Engines } from '../../src/delivery/engines';
import { SharedSandbox } from '../../src/sandbox/shared-sandbox';

export const engines = new Engines();
export const sandbox = new SharedSandbox();
