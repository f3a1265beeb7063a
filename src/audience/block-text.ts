// A block as JSON: its head and, in the slot behind it, the expiration.

/** `expiration` in minutes; null leaves the key out. */
export function blockText(head: string, expiration: number | null): string {
  return expiration === null ? `${head}}` : `${head},"expiration":${expiration}}`;
}
