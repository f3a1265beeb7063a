// Types of user-dir.mjs for the tests.
export interface Packed {
  readonly tarball: string;
  readonly hash: string;
  /** Paths inside the package. */
  readonly files: readonly string[];
  /** Size in bytes, by path. */
  readonly sizes: Readonly<Record<string, number>>;
  readonly packedBytes: number;
}
export function pack(destination: string): Promise<Packed>;
export function installInto(
  userDir: string,
  tarball: string,
): Promise<{ how: 'npm' } | { how: 'linked'; output: string }>;
export function installedTemplate(
  folder: string,
  packed: Pick<Packed, 'tarball' | 'hash'>,
): Promise<{ template: string; how: 'npm' | 'linked' | 'kept' }>;
export function likeTemplate(template: string, userDir: string): Promise<void>;
export function settingsFile(more: Readonly<Record<string, unknown>>): string;
