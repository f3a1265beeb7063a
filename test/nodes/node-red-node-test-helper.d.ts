// Types for the parts of the test helper that our tests use.
declare module 'node-red-node-test-helper' {
  interface Helper {
    load(nodes: unknown, flow: readonly object[], credentials?: object): Promise<void>;
    unload(): Promise<void>;

    getNode(id: string): any;
    startServer(done: () => void): void;
    stopServer(done: () => void): void;
  }
  const helper: Helper;
  export default helper;
}
