// One clock for all processes of the bench: the machine's monotonic time.

/** Milliseconds; comparable between processes of one machine. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
