// What a suite has started and must end, whatever happened: also when its `before` got only half way.

/**
 * Call in a suite; what is handed in later is ended after it (or, with `afterEach`, after each test), the last first. The first
 * failure is the suite's.
 */
export function cleanUps(hook = after): (end: () => Promise<unknown>) => void {
  const ends: (() => Promise<unknown>)[] = [];
  hook(async () => {
    const failures: unknown[] = [];
    for (const end of ends.splice(0).reverse()) await end().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  });
  return (end) => ends.push(end);
}
