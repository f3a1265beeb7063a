// JSON text of a block: its head, followed by the expiration.

/** @param expiration minutes; null leaves the key out */
export function blockText(head: string, expiration: number | null): string {
  return expiration === null ? `${head}}` : `${head},"expiration":${expiration}}`;
}
