import assert from "node:assert/strict";
import { test } from "node:test";
import { name } from "../src/device.ts";
import { pairEn, pairZh } from "../src/pairwords.ts";
import {
  Session, Untrusted, begin, codeIn, codeOf, decode, encode, isAnswer, newKeys, sha256, signOffer, transcript,
} from "../src/trust.ts";
import type { Code, FirstAnswer, Paired } from "../src/trust.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

test("a code is in the address, or is eight words", async () => {
  const code = codeIn(`#i=0011223344556677&s=${encode(new Uint8Array(16))}&f=${encode(new Uint8Array(32).fill(255))}`);
  assert.equal(code?.secret.length, 16);
  assert.deepEqual([code?.id, code?.certificate?.[31]], ["0011223344556677", 255]);
  for (const hash of ["", "#token=x", "#i=1&s=2", "#i=1&s=!&f=!"]) assert.equal(codeIn(hash), undefined, hash);
  const typed = await codeOf("  BABA, dodo\n");
  assert.deepEqual(typed, await codeOf("baba dodo"));
  const hash = await sha256(utf8("sampan words 1 baba dodo"));
  assert.equal(typed?.id, Buffer.from(hash).toString("hex").slice(0, 16));
  assert.equal(await codeOf(" - "), undefined);
});

/** A host, by docs/streaming.md and Node's own crypto. */
async function host(code: Code, message: Record<string, string>, certificate: Uint8Array<ArrayBuffer>, keys: CryptoKeyPair) {
  const subtle = crypto.subtle;
  const raw = async (key: CryptoKey) => new Uint8Array(await subtle.exportKey("raw", key));
  const own = await subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"]);
  const bytes = (field: string) => decode(message[field] ?? "");
  const nonce = new Uint8Array(16).fill(7);
  const fields = [utf8("sampan pair 1"), utf8(code.id), certificate, utf8(message["name"] ?? ""), bytes("device"),
    bytes("ephemeral"), bytes("nonce"), await raw(own.publicKey), nonce, await raw(keys.publicKey)];
  const salt = await transcript(fields);
  const theirs = await subtle.importKey("raw", bytes("ephemeral"), { name: "ECDH", namedCurve: "P-256" }, false, []);
  const shared = new Uint8Array(await subtle.deriveBits({ name: "ECDH", public: theirs }, own.privateKey, 256));
  const secret = await subtle.importKey("raw", Buffer.concat([shared, code.secret]), "HKDF", false, ["deriveBits"]);
  const derive = (info: string, length: number) =>
    subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt, info: utf8(info) }, secret, length * 8);
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const key = await subtle.importKey("raw", await derive("sampan mac 1", 32), hmac, false, ["sign"]);
  const mac = async (label: string) =>
    encode(new Uint8Array(await subtle.sign("HMAC", key, Buffer.concat([utf8(label), salt]))));
  const digits = new DataView(await derive("sampan check 1", 4)).getUint32(0) % 10_000;
  const answer: FirstAnswer = {
    exchange: "e", ephemeral: encode(await raw(own.publicKey)), nonce: encode(nonce),
    host: encode(await raw(keys.publicKey)), certificate: encode(certificate), mac: await mac("host"),
  };
  return { answer, page: await mac("page"), wait: await mac("wait"), check: String(digits).padStart(4, "0") };
}

const CODE: Code = { id: "0011223344556677", secret: new Uint8Array(16).fill(1), certificate: new Uint8Array(32).fill(2) };

async function exchange(code = CODE, other = CODE, certificate = new Uint8Array(32).fill(2)) {
  const keys = await newKeys();
  const { message, agree } = await begin(code, "phone", await newKeys());
  const theirs = await host(other, { ...message }, certificate, keys);
  return { ...theirs, keys, agreed: await agree(theirs.answer) };
}

test("both sides agree where they know the same, and nowhere else", async () => {
  const { agreed, page, wait, check } = await exchange();
  assert.deepEqual([agreed.page, agreed.wait, agreed.check], [page, wait, check]);
  assert.match(agreed.paired.device, /^[0-9a-f]{16}$/);
  assert.equal(agreed.paired.keys.privateKey.extractable || agreed.paired.session.extractable, false);
  const wrong = { ...CODE, secret: new Uint8Array(16) };
  await assert.rejects(exchange(CODE, wrong), Untrusted);
  await assert.rejects(exchange(CODE, CODE, new Uint8Array(32)), Untrusted, "another certificate than the code's");
  await exchange({ ...CODE, certificate: undefined }, CODE, new Uint8Array(32));
});

test("an altered offer, answer or signature is no answer", async () => {
  const { agreed: { paired }, keys } = await exchange();
  const signed = await signOffer(paired, encode(new Uint8Array(40)), "offer");
  assert.match(signed, /^Sampan [0-9a-f]{16}\.[\w-]{54}\.[\w-]{86}$/);
  const both = Buffer.concat([utf8("sampan answer 1"), await sha256(utf8("offer")), await sha256(utf8("answer"))]);
  const made = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, keys.privateKey, both);
  const signature = encode(new Uint8Array(made));
  assert.equal(await isAnswer(paired, "offer", "answer", signature), true);
  for (const [offer, answer, given] of [["other", "answer", signature], ["offer", "a=candidate", signature],
    ["offer", "answer", ""], ["offer", "answer", "!"], ["offer", "answer", encode(new Uint8Array(64))]] as const) {
    assert.equal(await isAnswer(paired, offer, answer, given), false);
  }
});

test("each request of a session is another one", async () => {
  const { agreed: { paired } } = await exchange();
  const open = () => Session.open(paired as Paired, "AAAA", "offer", "answer", "/whep/a");
  const [one, other] = [await open(), await open()];
  const first = await one.sign("PATCH", "/whep/a", "body");
  assert.equal(first, await other.sign("PATCH", "/whep/a", "body"));
  assert.match(first, /^1\.[\w-]{43}$/);
  assert.match(await one.sign("PATCH", "/whep/a", "body"), /^2\./);
  assert.match(one.end, /^9007199254740991\.[\w-]{43}$/);
});

test("a device is called by its browser and system", () => {
  assert.equal(name("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36"), "Chromium, Linux");
  assert.equal(name("Mozilla/5.0 (Phone; OpenHarmony 5.0) ArkWeb/4.1 Chrome/114.0"), "Huawei Browser, HarmonyOS");
  assert.equal(name("?"), "Browser");
});

test("both languages have every text", () => {
  assert.deepEqual(Object.keys(pairZh).sort(), Object.keys(pairEn).sort());
  assert.ok(Object.values(pairZh).every((text) => /\p{Script=Han}/u.test(text)));
});
