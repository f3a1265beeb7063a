// What a suite has started and must end, whatever happened: also when its `before` got only half way.

/** Call in a suite; what is handed in later is ended after it, the last first. The first failure is the suite's. */
export function cleanUps(): (end: () => Promise<unknown>) => void {
  const ends: (() => Promise<unknown>)[] = [];
  after(async () => {
    const failures: unknown[] = [];
    for (const end of ends.reverse()) await end().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  });
  return (end) => ends.push(end);
}
