/** Where workerd does not run, the server says so in one line, and what it needs. */
import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { runtimes, startProgram, temporaryDirectory } from "./program.ts";

const main = join("src", "local", "main.ts");

/** What stands for workerd, and what the line has of it. */
const cases = {
  "a system with an old glibc": [
    '#!/bin/sh\necho "workerd: /lib/libc.so.6: version \\`GLIBC_2.35\' not found" >&2\nexit 1\n',
    /\(workerd: .*GLIBC_2\.35.* not found.*\)/,
  ],
  "a system with another libc, where its loader is missing": [
    "#!/nonexistent/ld-linux-x86-64.so.2\n",
    /ENOENT/,
  ],
} as const;

for (const [system, [script, reason]] of Object.entries(cases)) {
  test(`workerd does not run on ${system}`, async (t) => {
    const directory = temporaryDirectory(t);
    const workerd = join(directory, "workerd");
    writeFileSync(workerd, script);
    chmodSync(workerd, 0o755);
    const data = join(directory, "data");
    const server = startProgram(t, [...runtimes.node, main, "--port", "0", "--data", data], {
      data,
      env: { STOWAGE_WORKERD: workerd },
    });
    assert.deepEqual(await server.ended, { code: 1, signal: null });
    assert.equal(server.stdout, "");
    assert.match(server.stderr, /^stowage: workerd, [^\n]* glibc 2\.35 or newer [^\n]*\n$/);
    assert.match(server.stderr, reason);
  });
}
