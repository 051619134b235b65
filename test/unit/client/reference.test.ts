import assert from "node:assert/strict";
import test from "node:test";
import { formatImageReference, parseImageReference } from "../../../src/client/reference.ts";

const hex = "0123456789abcdef".repeat(4);

const names: [text: string, registry: string | undefined, rest?: string][] = [
  ["registry.example.org/team/app:v1", "https://registry.example.org", "team/app:v1"],
  ["registry.example.org:8443/app", "https://registry.example.org:8443", "app"],
  [`registry.example.org/app@sha256:${hex}`, "https://registry.example.org", `app@sha256:${hex}`],
  [`registry.example.org/app:v1@sha256:${hex}`, "https://registry.example.org", `app:v1@sha256:${hex}`],
  ["docker://registry.example.org/app:v1", "https://registry.example.org", "app:v1"],
  ["127.0.0.1:5000/app:v1", "http://127.0.0.1:5000", "app:v1"],
  ["localhost/app", "http://localhost", "app"],
  ["[::1]:5000/app", "http://[::1]:5000", "app"],
  ["https://localhost:5000/app", "https://localhost:5000", "app"],
  ["http://registry.example.org/app", "http://registry.example.org", "app"],
  ["docker.io/alpine:3", "https://registry-1.docker.io", "library/alpine:3"],
  ["docker.io/team/app", "https://registry-1.docker.io", "team/app"],
  ["alpine", undefined],
  ["team/app:v1", undefined],
  ["registry.example.org/Team/app", undefined],
  ["registry.example.org/app:", undefined],
  ["registry.example.org/app:a b", undefined],
  ["registry.example.org/app@sha256:12", undefined],
  ["user@registry.example.org/app", undefined],
  ["registry.example.org/", undefined],
  ["ftp://registry.example.org/app", undefined],
  ["", undefined],
];

test("names of images need a host, and are read as they are written", () => {
  for (const [text, registry, rest] of names) {
    const read = parseImageReference(text);
    assert.equal(read?.registry.origin, registry, text);
    if (read !== undefined) assert.equal(formatImageReference(read), `${read.registry.host}/${rest}`);
  }
});
