// Debian's Janus as a media server that relays a stream, and the WHIP side that it has not: a small gateway, as its own "simple WHIP server" is.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { deadline, folder, start, until } from "./processes.js";

const PROGRAM = process.env.SAMPAN_JANUS || "/usr/bin/janus";
const PLUGIN = "janus.plugin.videoroom";
const SDP = { "Content-Type": "application/sdp" };

export const TOKEN = "a-token-for-the-room";

function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer().on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** An address of this host's networks: Janus takes no media by loopback addresses. */
function ownAddress() {
  const all = Object.values(networkInterfaces()).flat();
  const found = all.find(({ family, internal }) => family === "IPv4" && !internal);
  if (!found) throw new Error("this host has no IPv4 address but loopback, and Janus takes media by no other");
  return found.address;
}

/** Janus itself: one process with the video room alone. Requests are taken on loopback alone. */
export class Janus {
  #dir = folder("janus");
  log = "";

  /** `codec`: what the room takes. */
  static async start({ codec = "h264" } = {}) {
    if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: install the package janus, or set SAMPAN_JANUS`);
    const janus = new Janus();
    [janus.port, janus.adminPort] = [await freePort(), await freePort()];
    const config = join(janus.#dir, "etc");
    mkdirSync(config);
    const lib = "/usr/lib/x86_64-linux-gnu/janus";
    writeFileSync(join(config, "janus.jcfg"), `general: {
  configs_folder = "${config}"
  plugins_folder = "${lib}/plugins"
  transports_folder = "${lib}/transports"
  events_folder = "${lib}/events"
  loggers_folder = "${lib}/loggers"
  debug_level = 4
  admin_secret = "secret"
  session_timeout = 0
}
nat: { ice_enforce_list = "${ownAddress()}" }
media: { rtp_port_range = "20000-40000" }
plugins: { disable = "${["audiobridge", "duktape", "echotest", "lua", "nosip", "recordplay", "sip", "streaming", "textroom", "videocall",
    "voicemail"].map((name) => `libjanus_${name}.so`).join(",")}" }
transports: { disable = "libjanus_websockets.so,libjanus_pfunix.so,libjanus_nanomsg.so,libjanus_mqtt.so,libjanus_rabbitmq.so" }
`);
    writeFileSync(join(config, "janus.transport.http.jcfg"), `general: { json = "compact"; base_path = "/janus"; http = true; port = ${janus.port}; ip = "127.0.0.1"; https = false }
admin: { admin_base_path = "/admin"; admin_http = true; admin_port = ${janus.adminPort}; admin_ip = "127.0.0.1"; admin_https = false }
`);
    writeFileSync(join(config, "janus.plugin.videoroom.jcfg"), `room-1: {
  description = "one machine"
  publishers = 1
  videocodec = "${codec}"
  audiocodec = "opus"
  bitrate = 0
}
`);
    janus.config = config;
    await janus.run();
    return janus;
  }

  async run() {
    this.child = start(PROGRAM, ["--configs-folder", this.config]);
    const hear = (text) => {
      this.log = (this.log + text).slice(-100_000);
    };
    this.child.stdout.setEncoding("utf8").on("data", hear);
    this.child.stderr.setEncoding("utf8").on("data", hear);
    let ended;
    this.child.exited.then((exit) => {
      ended = exit;
    });
    await until(async () => {
      assert.equal(ended, undefined, `Janus ended: ${JSON.stringify(ended)}\n${this.log}`);
      return (await fetch(`http://127.0.0.1:${this.port}/janus/info`).catch(() => undefined))?.ok;
    }, () => `Janus:\n${this.log}`);
  }

  /** A session with a handle of the video room. */
  async attach() {
    const base = `http://127.0.0.1:${this.port}/janus`;
    const session = (await ask(base, { janus: "create" })).data.id;
    const handle = new Handle(base, session);
    handle.id = (await ask(`${base}/${session}`, { janus: "attach", plugin: PLUGIN })).data.id;
    return handle;
  }

  /** What the room says of itself, once. */
  async room(body) {
    const handle = await this.attach();
    try {
      return await handle.message(body);
    } finally {
      await handle.close();
    }
  }

  /** Those who publish in the room. */
  async publishers() {
    const { participants } = await this.room({ request: "listparticipants", room: 1 });
    return participants.filter(({ publisher }) => publisher);
  }

  /** What Janus counts of a handle, of its picture. */
  async counted(handle) {
    const { info } = await ask(`http://127.0.0.1:${this.adminPort}/admin/${handle.session}/${handle.id}`,
      { janus: "handle_info", admin_secret: "secret", plugin_only: false });
    return info;
  }

  async stop(signal = "SIGKILL") {
    this.child.kill(signal);
    await deadline(this.child.exited, 20_000, "Janus to end");
  }
}

let transactions = 0;

async function ask(url, body) {
  const answer = await fetch(url, { method: "POST", body: JSON.stringify({ ...body, transaction: `t${(transactions += 1)}` }) });
  const told = await answer.json();
  if (told.janus === "error") throw new Error(`Janus: ${JSON.stringify(told.error)}`);
  return told;
}

/** One side of a connection with the video room. */
class Handle {
  #base;
  #waiting = new Map();
  #closed = new AbortController();
  /** Why Janus has ended the connection. */
  hangup;

  constructor(base, session) {
    [this.#base, this.session] = [base, session];
    this.#listen();
  }

  async #listen() {
    while (!this.#closed.signal.aborted) {
      let events;
      try {
        const answer = await fetch(`${this.#base}/${this.session}?maxev=10`, { signal: this.#closed.signal });
        events = [await answer.json()].flat();
      } catch {
        // Closed, or Janus is gone.
        break;
      }
      for (const event of events) {
        if (event.janus === "hangup") this.hangup = event.reason;
        if (event.janus === "webrtcup") this.up = true;
        this.#waiting.get(event.transaction)?.(event);
      }
    }
    for (const answer of this.#waiting.values()) answer({ error: "the session is gone" });
  }

  /** A request to the room: its answer, with the description that may come with it. */
  async message(body, jsep) {
    const transaction = `m${(transactions += 1)}`;
    const later = new Promise((resolve) => this.#waiting.set(transaction, resolve));
    const url = `${this.#base}/${this.session}/${this.id}`;
    const sent = { janus: "message", transaction, body, ...(jsep && { jsep }) };
    const answer = await fetch(url, { method: "POST", body: JSON.stringify(sent) });
    let told = await answer.json();
    if (told.janus === "ack") told = await deadline(later, 20_000, () => `Janus to answer ${body.request}`);
    this.#waiting.delete(transaction);
    const data = told.plugindata?.data;
    if (!data || data.error) throw Object.assign(new Error(`Janus: ${JSON.stringify(data ?? told)}`), { code: data?.error_code });
    return told.jsep ? { ...data, jsep: told.jsep } : data;
  }

  async close() {
    await ask(`${this.#base}/${this.session}`, { janus: "destroy" }).catch(() => {});
    this.#closed.abort();
  }
}

/**
 * WHIP in front of Janus's room (RFC 9725): `POST /whip` with the token publishes, `DELETE` ends. For those who watch, Janus offers:
 * `POST /watch` gives its offer, `PATCH` takes the answer.
 */
export class Gateway {
  #sessions = new Map();
  #next = 1;
  /** What was asked for, oldest first: method and path. */
  seen = [];
  /** What `POST /whip` answers instead of taking the stream: `{ status, headers }`. */
  refuses;

  static async start(janus, tls) {
    const gateway = new Gateway();
    gateway.janus = janus;
    const handler = (request, response) => gateway.#answer(request, response).catch((error) => {
      gateway.problem = error;
      response.writeHead(error.code === 426 ? 404 : 502).end(String(error));
    });
    gateway.server = tls ? https.createServer(tls, handler) : http.createServer(handler);
    await new Promise((resolve) => gateway.server.listen(0, "127.0.0.1", resolve));
    gateway.url = `${tls ? "https://localhost" : "http://127.0.0.1"}:${gateway.server.address().port}`;
    return gateway;
  }

  /** The handle of a session, by its path. */
  handle(path) {
    return this.#sessions.get(path);
  }

  async #answer(request, response) {
    const path = new URL(request.url, this.url).pathname;
    const what = `${request.method} ${path}`;
    this.seen.push(what);
    let body = "";
    for await (const part of request.setEncoding("utf8")) body += part;
    const end = (status, headers = {}, text = "") => response.writeHead(status, headers).end(text);
    if (what === "POST /moved") return end(307, { Location: "/whip" });
    if (what === "POST /whip") {
      if (this.refuses) return end(this.refuses.status, this.refuses.headers);
      if (request.headers.authorization !== `Bearer ${TOKEN}`) return end(401);
      if (request.headers["content-type"] !== "application/sdp") return end(415);
      this.offer = body;
      const handle = await this.janus.attach();
      const asks = { request: "joinandconfigure", ptype: "publisher", room: 1, display: "sampan" };
      const { jsep } = await handle.message(asks, { type: "offer", sdp: body });
      this.answer = jsep.sdp;
      handle.publishes = true;
      return end(201, { ...SDP, Location: this.#keep(handle) }, jsep.sdp);
    }
    if (what === "POST /watch") {
      const [publisher] = await this.janus.publishers();
      if (!publisher) return end(404);
      const handle = await this.janus.attach();
      const { jsep } = await handle.message({ request: "join", ptype: "subscriber", room: 1, streams: [{ feed: publisher.id }] });
      return end(201, { ...SDP, Location: this.#keep(handle) }, jsep.sdp);
    }
    const handle = this.#sessions.get(path);
    if (!handle) return end(404);
    if (request.method === "PATCH") {
      await handle.message({ request: "start" }, { type: "answer", sdp: body });
      return end(204);
    }
    if (request.method !== "DELETE") return end(405);
    if (handle.publishes && request.headers.authorization !== `Bearer ${TOKEN}`) return end(401);
    this.#sessions.delete(path);
    await handle.close();
    return end(200);
  }

  #keep(handle) {
    const path = `/session/${this.#next++}`;
    this.#sessions.set(path, handle);
    return path;
  }

  async stop() {
    this.server.close();
    this.server.closeAllConnections();
    for (const handle of this.#sessions.values()) await handle.close();
  }
}

/** A page of one's own that watches what Janus relays: Chromium, and none of our code. */
export class Watching {
  problems = [];

  static async open(browser, gateway) {
    const watching = new Watching();
    const page = await browser.newPage();
    watching.page = page;
    page.on("pageerror", (error) => watching.problems.push(String(error)));
    const begun = performance.now();
    const offered = await fetch(`${gateway.url}/watch`, { method: "POST" });
    assert.equal(offered.status, 201, "Janus offers the stream");
    watching.path = offered.headers.get("location");
    const answer = await page.evaluate(async (sdp) => {
      document.body.innerHTML = "<video autoplay muted playsinline></video>";
      const video = document.querySelector("video");
      const peer = (globalThis.peer = new RTCPeerConnection());
      globalThis.tracks = [];
      const stream = new MediaStream();
      peer.ontrack = ({ track }) => {
        globalThis.tracks.push(track.kind);
        stream.addTrack(track);
        video.srcObject = stream;
      };
      video.requestVideoFrameCallback(() => {
        globalThis.first = performance.now();
      });
      await peer.setRemoteDescription({ type: "offer", sdp });
      await peer.setLocalDescription(await peer.createAnswer());
      await new Promise((resolve) => {
        const look = () => peer.iceGatheringState === "complete" && resolve();
        peer.onicegatheringstatechange = look;
        look();
      });
      return peer.localDescription.sdp;
    }, await offered.text());
    const taken = await fetch(`${gateway.url}${watching.path}`, { method: "PATCH", headers: SDP, body: answer });
    assert.equal(taken.status, 204, "Janus takes the answer");
    await until(() => page.evaluate(() => globalThis.first !== undefined), async () => `the first picture: ${
      JSON.stringify(await watching.figures())}`);
    /** From the wish to see it to the first picture, in milliseconds. */
    watching.took = performance.now() - begun;
    return watching;
  }

  /** The browser's figures of the picture. */
  figures() {
    return this.page.evaluate(async () => {
      const all = [...(await globalThis.peer.getStats()).values()];
      const picture = all.find(({ type, kind }) => type === "inbound-rtp" && kind === "video") ?? {};
      const { framesDecoded, keyFramesDecoded, pliCount, packetsLost, bytesReceived, codecId } = picture;
      const codec = all.find(({ id }) => id === codecId)?.mimeType;
      const sound = all.find(({ type, kind }) => type === "inbound-rtp" && kind === "audio");
      return { codec, framesDecoded, keyFramesDecoded, pliCount, packetsLost, bytesReceived, sound: sound?.packetsReceived };
    });
  }

  close() {
    return this.page.close();
  }
}
