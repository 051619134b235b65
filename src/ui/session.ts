/** Who is signed in, and what the registry says of itself, for all screens. */
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Answer } from "./api.ts";

/** Who is signed in. */
export type Session = Answer<"/session", "GET">;

/** The registry. */
export type Info = Session["registry"];

/** What all screens know. */
export type Surroundings = { session: Session; info: Info; refresh: () => void };

/** What all screens know. */
export const SurroundingsContext = createContext<Surroundings | undefined>(undefined);

/** What all screens know. */
export function useSurroundings(): Surroundings {
  const found = useContext(SurroundingsContext);
  if (found === undefined) throw new Error("a screen is shown without its surroundings");
  return found;
}

/** The host by which clients reach the registry. */
export function hostOf({ publicUrl }: Info): string {
  return publicUrl === undefined ? location.host : new URL(publicUrl).host;
}
