/** What is thrown, in words: the message of an error, or whatever else it was. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
