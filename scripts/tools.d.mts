// Types of tools.mjs for the tests.
export function npmCommand(args: readonly string[]): [command: string, args: string[]];
