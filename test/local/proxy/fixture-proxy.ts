/** A reverse proxy as a program: its options are its argument, in JSON, and it prints its port. */
import { startProxy } from "../../../src/local/proxy/proxy.ts";
import { readTlsFiles } from "../../../src/local/tls-files.ts";
import type { FixtureOptions } from "./support.ts";

const options: FixtureOptions = JSON.parse(process.argv[2] ?? "{}");
const proxy = await startProxy({
  ...options,
  identity: options.tls && readTlsFiles(options.tls),
  host: "127.0.0.1",
  port: 0,
  warn: (message) => console.error(message),
});
console.log(proxy.port);
// Tests ask for what it takes.
process.on("SIGUSR2", () => console.log(JSON.stringify(process.memoryUsage())));
