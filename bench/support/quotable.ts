// Check whether a run of the bench may be quoted: other processes on the machine change its figures.

/** @param load average of one minute when the run began */
export function mayBeQuoted(load: number): boolean {
  return load <= 0.3;
}

export const notToBeQuoted =
  '**Not to be quoted**: above 0.3, others used the machine meanwhile. Run it again on a quiet one.';
