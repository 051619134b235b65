/** Sessions in memory. */

/** What is kept in memory of a session that nobody uses: its running hash, which saves reading its bytes again. */
export interface Remembered {
  /** How many use it now. */
  users: number;
  /** Whether nothing of it is under way. */
  isAtRest: boolean;
  hash: unknown;
}

/** The hashes of so many idle sessions are kept; each takes some 3 KB. */
const mostAtRest = 1000;

/** The sessions that are in use, and those that were used last of the idle ones with a hash. */
export class SessionMemory<T extends Remembered> {
  readonly #make: (id: string) => T;
  readonly #used = new Map<string, T>();
  /** In the order of their last uses. */
  readonly #atRest = new Map<string, T>();

  /** `make` reads a session from what is kept of it. */
  constructor(make: (id: string) => T) {
    this.#make = make;
  }

  /** The sessions that are in use. */
  get used(): T[] {
    return Array.from(this.#used.values());
  }

  /** Works on a session. */
  async use<R>(id: string, work: (session: T) => Promise<R>): Promise<R> {
    const session = this.#used.get(id) ?? this.#atRest.get(id) ?? this.#make(id);
    this.#atRest.delete(id);
    this.#used.set(id, session);
    session.users++;
    try {
      return await work(session);
    } finally {
      session.users--;
      if (session.isAtRest) this.#rest(id, session);
    }
  }

  #rest(id: string, session: T): void {
    this.#used.delete(id);
    if (session.hash === undefined) return;
    this.#atRest.set(id, session);
    const [oldest] = this.#atRest.keys();
    if (oldest !== undefined && this.#atRest.size > mostAtRest) this.#atRest.delete(oldest);
  }
}
