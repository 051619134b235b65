/** Data of screens: read when a screen is shown, and again when what it is about changes. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { Path } from "../contract/contract.ts";
import { ApiError, readPage } from "./api.ts";

/** What is known of data that is read: nothing yet, the data, or why it could not be read. */
export type Loaded<T> = { data?: T; error?: ApiError; isLoading: boolean; reload: () => void };

/**
 * Reads data. While `key` stays, so does the data; for another key the old data is shown until the new is there, so that
 * the page does not jump.
 */
export function useData<T>(key: string, read: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{ data?: T; error?: ApiError; isLoading: boolean }>({ isLoading: true });
  const [round, setRound] = useState(0);
  const reader = useRef(read);
  reader.current = read;
  useEffect(() => {
    const abort = new AbortController();
    setState((before) => ({ ...before, isLoading: true }));
    reader.current(abort.signal).then(
      (data) => setState({ data, isLoading: false }),
      (error: unknown) => {
        if (abort.signal.aborted) return;
        setState({ error: error instanceof ApiError ? error : new ApiError(0, {}), isLoading: false });
      },
    );
    return () => abort.abort();
  }, [key, round]);
  const reload = useCallback(() => setRound((before) => before + 1), []);
  return { ...state, reload };
}

/** The pages of a list that were read so far; `more` reads the next one, if there is one. */
export type Pages<A> = Loaded<A[]> & { more: (() => void) | undefined };

/** Reads a list page after page, beginning with an address. */
export function usePages<P extends Path>(
  address: string,
): Pages<Awaited<ReturnType<typeof readPage<P>>>["answer"]> {
  type One = Awaited<ReturnType<typeof readPage<P>>>["answer"];
  const [later, setLater] = useState<{ of: string; pages: One[]; next: string | undefined }>();
  const [isReading, setReading] = useState(false);
  const first = useData(address, (signal) => readPage<P>(address, signal));
  const known = later?.of === address ? later : undefined;
  const next = known === undefined ? first.data?.next : known.next;
  const readMore = async (from: string) => {
    setReading(true);
    try {
      const page = await readPage<P>(from);
      setLater({ of: address, pages: [...(known?.pages ?? []), page.answer], next: page.next });
    } finally {
      setReading(false);
    }
  };
  const reload = () => {
    setLater(undefined);
    first.reload();
  };
  return {
    ...(first.error === undefined ? {} : { error: first.error }),
    ...(first.data === undefined ? {} : { data: [first.data.answer, ...(known?.pages ?? [])] }),
    isLoading: first.isLoading || isReading,
    reload,
    more: next === undefined || isReading ? undefined : () => void readMore(next),
  };
}

/** An action that is started by the user. Resolves with whether it succeeded. */
export function useAction(): {
  run: (work: () => Promise<unknown>) => Promise<boolean>;
  isBusy: boolean;
  error: ApiError | undefined;
} {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const run = async (work: () => Promise<unknown>) => {
    setBusy(true);
    setError(undefined);
    try {
      await work();
      return true;
    } catch (failed) {
      setError(failed instanceof ApiError ? failed : new ApiError(0, {}));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { run, isBusy, error };
}
