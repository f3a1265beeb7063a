// What nodes use of `sandbox`.

export type { MembersQuery, Sandbox, SandboxSettings } from './sandbox';
export { SharedSandbox } from './shared-sandbox';
