/**
 * What a paired device and its host say to each other, by WebCrypto: pairing, signed offers, requests
 * of a session. docs/streaming.md has every message. No page, no storage: tests call it as it is.
 */

/** What a device knows of a code. */
export interface Code {
  readonly id: string;
  readonly secret: Uint8Array<ArrayBuffer>;
  /** The SHA-256 of the host's certificate; words do not tell it. */
  readonly certificate: Uint8Array<ArrayBuffer> | undefined;
}

/** What is kept once a device is paired. The private key and the session's cannot be read by anybody. */
export interface Paired {
  readonly keys: CryptoKeyPair;
  readonly session: CryptoKey;
  readonly device: string;
  readonly host: Uint8Array<ArrayBuffer>;
  readonly certificate: Uint8Array<ArrayBuffer>;
}

export interface FirstMessage {
  readonly id: string;
  readonly name: string;
  readonly device: string;
  readonly ephemeral: string;
  readonly nonce: string;
}

export interface FirstAnswer {
  readonly exchange: string;
  readonly ephemeral: string;
  readonly nonce: string;
  readonly host: string;
  readonly certificate: string;
  readonly mac: string;
}

const CURVE = { name: "ECDSA", namedCurve: "P-256" } as const;
const EXCHANGE = { name: "ECDH", namedCurve: "P-256" } as const;
const SIGNING = { name: "ECDSA", hash: "SHA-256" } as const;
const HMAC = { name: "HMAC", hash: "SHA-256" } as const;

/** The number of the request that ends a session: it is made in advance. */
const LAST = 2 ** 53 - 1;

export type Bytes = Uint8Array<ArrayBuffer>;

const utf8 = (text: string): Bytes => new TextEncoder().encode(text);

export function encode(bytes: Uint8Array): string {
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return btoa(text).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** Throws for what is no base64url. */
export function decode(text: string): Bytes {
  const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

function concat(...parts: readonly Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function big(number: number, bytes: 4 | 8): Bytes {
  const view = new DataView(new ArrayBuffer(bytes));
  if (bytes === 4) view.setUint32(0, number);
  else view.setBigUint64(0, BigInt(number));
  return new Uint8Array(view.buffer);
}

export async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

async function short(text: Bytes): Promise<string> {
  const hash = await sha256(text);
  return Array.from(hash.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The code in the address that was scanned. */
export function codeIn(hash: string): Code | undefined {
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  const [id, secret, certificate] = ["i", "s", "f"].map((name) => parts.get(name));
  if (!id || !secret || !certificate) return undefined;
  try {
    return { id, secret: decode(secret), certificate: decode(certificate) };
  } catch {
    return undefined;
  }
}

/** The same of words that a person typed. */
export async function codeOf(typed: string): Promise<Code | undefined> {
  const words = typed.toLowerCase().split(/[^a-z]+/).filter((word) => word !== "");
  if (words.length === 0) return undefined;
  const text = words.join(" ");
  return { id: await short(utf8(`sampan words 1 ${text}`)), secret: utf8(text), certificate: undefined };
}

export function newKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(CURVE, false, ["sign", "verify"]);
}

async function raw(key: CryptoKey): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.exportKey("raw", key));
}

async function derive(secret: Bytes, salt: Bytes, info: string, bytes: number): Promise<Bytes> {
  const key = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  const how = { name: "HKDF", hash: "SHA-256", salt, info: utf8(info) };
  return new Uint8Array(await crypto.subtle.deriveBits(how, key, bytes * 8));
}

function macKey(bytes: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", bytes, HMAC, false, ["sign", "verify"]);
}

async function mac(key: CryptoKey, ...parts: readonly Uint8Array[]): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, concat(...parts)));
}

export async function transcript(fields: readonly Uint8Array[]): Promise<Bytes> {
  return sha256(concat(...fields.flatMap((field) => [big(field.length, 4), field])));
}

function same(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

/** Why there is no agreement: somebody stands in between, or has altered the code. */
export class Untrusted extends Error {
  override readonly name = "Untrusted";
}

/** What both sides have agreed on. */
export interface Agreed {
  readonly exchange: string;
  /** Four digits that the host shows, too. */
  readonly check: string;
  /** The proof that this device knows the code. */
  readonly page: string;
  /** What it asks with whether the owner has answered. */
  readonly wait: string;
  readonly paired: Paired;
}

/** One exchange: its first message, and what follows from the answer. */
export async function begin(
  code: Code,
  name: string,
  keys: CryptoKeyPair,
): Promise<{ message: FirstMessage; agree: (answer: FirstAnswer) => Promise<Agreed> }> {
  const ephemeral = await crypto.subtle.generateKey(EXCHANGE, false, ["deriveBits"]);
  const own = {
    device: await raw(keys.publicKey),
    ephemeral: await raw(ephemeral.publicKey),
    nonce: crypto.getRandomValues(new Uint8Array(16)),
  };
  const message = {
    id: code.id,
    name,
    device: encode(own.device),
    ephemeral: encode(own.ephemeral),
    nonce: encode(own.nonce),
  };
  const agree = async (answer: FirstAnswer): Promise<Agreed> => {
    const told = decode(answer.certificate);
    if (code.certificate !== undefined && !same(code.certificate, told)) throw new Untrusted("certificate");
    const certificate = code.certificate ?? told;
    const [theirs, nonce, host] = [answer.ephemeral, answer.nonce, answer.host].map(decode) as [Bytes, Bytes, Bytes];
    const fields = [utf8("sampan pair 1"), utf8(code.id), certificate, utf8(name), own.device, own.ephemeral,
      own.nonce, theirs, nonce, host];
    const salt = await transcript(fields);
    const point = await crypto.subtle.importKey("raw", theirs, EXCHANGE, false, []);
    const how = { name: "ECDH", public: point };
    const shared = new Uint8Array(await crypto.subtle.deriveBits(how, ephemeral.privateKey, 256));
    const both = concat(shared, code.secret);
    const key = await macKey(await derive(both, salt, "sampan mac 1", 32));
    const is = await crypto.subtle.verify("HMAC", key, decode(answer.mac), concat(utf8("host"), salt));
    if (!is) throw new Untrusted("proof");
    const digits = new DataView((await derive(both, salt, "sampan check 1", 4)).buffer).getUint32(0) % 10_000;
    return {
      exchange: answer.exchange,
      check: String(digits).padStart(4, "0"),
      page: encode(await mac(key, utf8("page"), salt)),
      wait: encode(await mac(key, utf8("wait"), salt)),
      paired: {
        keys,
        session: await macKey(await derive(both, salt, "sampan device 1", 32)),
        device: await short(own.device),
        host,
        certificate,
      },
    };
  };
  return { message, agree };
}

/** What an offer is sent with. */
export async function signOffer(paired: Paired, nonce: string, offer: string): Promise<string> {
  const message = concat(utf8("sampan offer 1"), paired.certificate, decode(nonce), await sha256(utf8(offer)));
  const signature = new Uint8Array(await crypto.subtle.sign(SIGNING, paired.keys.privateKey, message));
  return `Sampan ${paired.device}.${nonce}.${encode(signature)}`;
}

/** Whether an answer is the host's, to this very offer. */
export async function isAnswer(
  paired: Paired,
  offer: string,
  answer: string,
  signature: string,
): Promise<boolean> {
  try {
    const key = await crypto.subtle.importKey("raw", paired.host, CURVE, false, ["verify"]);
    const hashes = [await sha256(utf8(offer)), await sha256(utf8(answer))];
    const message = concat(utf8("sampan answer 1"), ...hashes);
    return await crypto.subtle.verify(SIGNING, key, decode(signature), message);
  } catch {
    return false;
  }
}

/** What a session's requests are known by. */
export class Session {
  readonly #key: CryptoKey;
  #number = 0;
  /** For the request that ends it: a page that is closed has no time to make it. */
  readonly end: string;

  private constructor(key: CryptoKey, end: string) {
    this.#key = key;
    this.end = end;
  }

  static async open(paired: Paired, nonce: string, offer: string, answer: string, path: string): Promise<Session> {
    const hashes = [await sha256(utf8(offer)), await sha256(utf8(answer))];
    const bytes = await mac(paired.session, utf8("sampan session 1"), decode(nonce), ...hashes);
    const key = await macKey(bytes);
    return new Session(key, await Session.#sign(key, LAST, "DELETE", path, ""));
  }

  /** `path` has its query. Requests may overtake each other a little. */
  sign(method: string, path: string, body: string | Bytes): Promise<string> {
    this.#number += 1;
    return Session.#sign(this.#key, this.#number, method, path, body);
  }

  /** Whether an answer to a request that carried `NUMBER.MAC` is the host's. */
  async answers(carried: string, path: string, body: string, answer: string, mark: string): Promise<boolean> {
    const zero = new Uint8Array(1);
    const hashes = [await sha256(utf8(body)), await sha256(utf8(answer))];
    const number = big(Number(carried.split(".")[0]), 8);
    const message = concat(utf8("sampan restart 1"), zero, utf8(path), zero, number, ...hashes);
    try {
      return await crypto.subtle.verify("HMAC", this.#key, decode(mark), message);
    } catch {
      return false;
    }
  }

  static async #sign(key: CryptoKey, number: number, method: string, path: string, body: string | Bytes): Promise<string> {
    const bytes = typeof body === "string" ? utf8(body) : body;
    const zero = new Uint8Array(1);
    const made = await mac(key, utf8(method), zero, utf8(path), zero, big(number, 8), bytes);
    return `${number}.${encode(made)}`;
  }
}
