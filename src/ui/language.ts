/** The language of the page: the one that was chosen, or the first of the browser's that there is. */
import { de } from "./messages/de.ts";
import { en, type Messages } from "./messages/en.ts";

/** The languages that there are, by their tags. */
export const languages: Record<string, Messages> = { en, de };

const key = "stowage.language";

let current = find();

function find(): string {
  const chosen = localStorage.getItem(key);
  const wanted = [chosen ?? "", ...navigator.languages.map((each) => each.split("-")[0] ?? "")];
  return wanted.find((each) => Object.hasOwn(languages, each)) ?? "en";
}

/** The tag of the language. */
export function language(): string {
  return current;
}

/** The language with its region, which decides how numbers and times are written. */
export function locale(): string {
  return navigator.languages.find((each) => each.split("-")[0] === current) ?? current;
}

/** The messages. */
export function messages(): Messages {
  return languages[current] ?? en;
}

/** Chooses a language, for the next visits too. */
export function chooseLanguage(tag: string): void {
  localStorage.setItem(key, tag);
  current = find();
  document.documentElement.lang = current;
}

document.documentElement.lang = current;
