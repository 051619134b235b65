/** Light, dark, or as the system has it. */
export const themes = ["auto", "light", "dark"] as const;

/** One of {@link themes}. */
export type Theme = (typeof themes)[number];

const key = "stowage.theme";

/** The theme that was chosen. */
export function chosenTheme(): Theme {
  return themes.find((theme) => theme === localStorage.getItem(key)) ?? "auto";
}

/** Chooses a theme, for the next visits too. */
export function chooseTheme(theme: Theme): void {
  localStorage.setItem(key, theme);
  document.documentElement.dataset.theme = theme;
}

document.documentElement.dataset.theme = chosenTheme();
