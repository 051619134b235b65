import type { Failure } from "../../oci/errors.ts";

/** A fetch cannot succeed; `failure` is for the client. */
export class GivenUp extends Error {
  override name = "GivenUp";
  readonly failure: Failure;

  constructor(told: Failure, detail: string) {
    super(detail);
    this.failure = told;
  }
}
