/** The certificate and key of `--tls-cert` and `--tls-key`. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { messageOf } from "./message-of.ts";

/** The paths of the certificate and its key. */
export interface TlsFiles {
  certFile: string;
  keyFile: string;
}

/** A certificate with the chain to its issuer, and its key, both in PEM. */
export interface TlsIdentity {
  cert: string;
  key: string;
  /** The first DNS name of the certificate, unless it is a wildcard. */
  name: string | undefined;
  /** Problems that do not stop the server, but make its clients distrust it. */
  warning: string | undefined;
}

/** A certificate cannot be used; the message says why, in a sentence. */
export class TlsFilesError extends Error {
  override name = "TlsFilesError";
}

/**
 * Reads both files and checks that they belong together.
 *
 * @param now milliseconds since 1970
 * @throws TlsFilesError
 */
export function readTlsFiles({ certFile, keyFile }: TlsFiles, now: number = Date.now()): TlsIdentity {
  const cert = readText("--tls-cert", certFile);
  const key = readText("--tls-key", keyFile);
  const certificate = parseCertificate(cert, certFile);
  if (!certificate.checkPrivateKey(parseKey(key, keyFile))) {
    throw new TlsFilesError(`the key ${keyFile} is not that of the certificate ${certFile}`);
  }
  return { cert, key, name: nameOf(certificate), warning: whyNotValid(certificate, certFile, now) };
}

function nameOf({ subjectAltName = "" }: X509Certificate): string | undefined {
  return /(?:^|, )DNS:([\w.-]+)(?:,|$)/.exec(subjectAltName)?.[1];
}

function readText(flag: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new TlsFilesError(`the file of ${flag} cannot be read: ${messageOf(error)}`);
  }
}

function parseCertificate(pem: string, file: string): X509Certificate {
  if (!pem.includes("-----BEGIN CERTIFICATE-----")) {
    throw new TlsFilesError(`${file} holds no certificate in PEM`);
  }
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new TlsFilesError(`the certificate in ${file} cannot be read: ${messageOf(error)}`);
  }
}

function parseKey(pem: string, file: string): KeyObject {
  if (/ENCRYPTED/.test(pem)) {
    throw new TlsFilesError(`the key in ${file} has a passphrase, which nobody could enter here`);
  }
  if (!/-----BEGIN (?:\w+ )?PRIVATE KEY-----/.test(pem)) {
    throw new TlsFilesError(`${file} holds no private key in PEM`);
  }
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new TlsFilesError(`the key in ${file} cannot be read: ${messageOf(error)}`);
  }
}

function whyNotValid({ validFrom, validTo }: X509Certificate, file: string, now: number): string | undefined {
  if (Date.parse(validTo) <= now) return `the certificate ${file} has expired: ${validTo}`;
  if (Date.parse(validFrom) > now) return `the certificate ${file} is not valid before ${validFrom}`;
  return undefined;
}
