/** The location of workerd. */
import { createRequire } from "node:module";

/** The path of workerd's executable: that of the npm package, unless the variable STOWAGE_WORKERD names another. */
export function workerdFile(): string {
  if (process.env.STOWAGE_WORKERD) return process.env.STOWAGE_WORKERD;
  const workerd: { default: string } = createRequire(import.meta.url)("workerd");
  return workerd.default;
}
