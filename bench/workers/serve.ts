// Worker side of an operation call: carries out the parent's operations, and ends with the parent.

export type Operations = Record<string, (...args: any[]) => unknown>;

interface Call {
  readonly id: number;
  readonly operation: string;
  readonly args: readonly unknown[];
}

export function serve(operations: Operations): void {
  process.on('message', (call: Call) => {
    void answer(operations, call);
  });
  process.on('disconnect', () => process.exit(0));
}

async function answer(operations: Operations, { id, operation, args }: Call): Promise<void> {
  try {
    const value = await operations[operation]!(...args);
    process.send!({ id, value });
  } catch (error) {
    process.send!({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}
