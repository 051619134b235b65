/** No interface: what `#interface` is where the Worker was not bundled, as in tests of single modules. */
import type { InterfaceFile } from "./files.ts";

export const files: readonly InterfaceFile[] = [];
