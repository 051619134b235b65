/** How long requests took, by what they were. */

/** Times of requests, in milliseconds. */
export class Latencies {
  readonly #times = new Map<string, number[]>();

  /** Does a request, and notes how long it took with its answer. */
  async measure<T>(kind: string, request: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    const answer = await request();
    const times = this.#times.get(kind) ?? [];
    times.push(performance.now() - startedAt);
    this.#times.set(kind, times);
    return answer;
  }

  /** Of each kind of request how many there were, and the time in which that share of them was answered. */
  byKind(share: number): { kind: string; count: number; milliseconds: number }[] {
    return [...this.#times].map(([kind, times]) => {
      const sorted = times.toSorted((a, b) => a - b);
      const milliseconds = Math.ceil(sorted[Math.ceil(sorted.length * share) - 1] ?? 0);
      return { kind, count: times.length, milliseconds };
    });
  }
}
