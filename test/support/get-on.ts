/** Lets everything go on that waits for nothing but its turn. */
export async function getOn(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await null;
}
