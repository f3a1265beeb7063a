// A store as one process uses it: a dead process makes no calls and receives no results.
import type { ProcessTime } from '../world/process-time';

/** Wraps methods that return promises; other members are unchanged. */
export function ofProcess<T extends object>(logStore: T, time: ProcessTime): T {
  return new Proxy(logStore, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value === 'object' && value !== null) return ofProcess(value, time);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        if (!time.alive) return new Promise(() => undefined);
        const given: unknown = (value as (...args: unknown[]) => unknown).apply(target, args);
        if (!(given instanceof Promise)) return given;
        return new Promise((resolve, reject) => {
          given.then(
            (result) => time.run(() => resolve(result)),
            (error: unknown) =>
              time.run(() => reject(error instanceof Error ? error : new Error(String(error)))),
          );
        });
      };
    },
  });
}
