// The preview's server: the app's pages, and the native module for them.
import { createServer } from "node:http";
import { createReadStream, readFileSync, statSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocketServer } from "ws";
import { standIn } from "../../napi/lib/stand-in.js";
import { Guard, HEADERS } from "./guard.js";
import { readInterface } from "./interface.js";
import { Session } from "./session.js";
import { MAX_MESSAGE, decode, told } from "./wire.js";

const here = dirname(fileURLToPath(import.meta.url));
const typings = join(here, "../../../entry/types/libsampan/Index.d.ts");

/** What the browser has of the bridge. */
const SCRIPTS = ["boot.js", "canvas.js", "client.js", "files.js", "frame.js", "proxy.js", "secret.js", "wire.js"];

const TYPES = {
  ".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".json": "application/json", ".map": "application/json",
  ".mjs": "text/javascript", ".png": "image/png", ".svg": "image/svg+xml", ".webp": "image/webp", ".woff2": "font/woff2",
};

/** Pages at a time. */
const MAX_SOCKETS = 32;

/** A browser that answers nothing for twice so many milliseconds is gone. */
const ALIVE = 10_000;

/** Microseconds of a display's period: 60 Hz. */
const VSYNC = 16_667;

/** How large the app's window is in a browser's that is larger. A PC's takes all of it. */
const WINDOWS = { phone: [390, 844], tablet: [1080, 720] };

/** A page around the app's, in which its window is as large as a device's. */
function frame([width, height]) {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Sampan</title>
<link rel="icon" href="data:,">
<style>
  html, body { height: 100%; margin: 0; display: grid; place-items: center; background: #80868b }
  iframe { border: 0; width: min(100vw, ${width}px); height: min(100vh, ${height}px); background: #fff }
</style>
<body><script type="module" src="/bridge/frame.js"></script></body>
</html>
`;
}

/** The types may be newer than the module that is served: what it lacks is not offered. */
function offered({ functions, events }, native) {
  const has = (path) => path.split(".").reduce((at, name) => at?.[name], native) !== undefined;
  const tells = (kind) => {
    try {
      native.on(kind, () => {})();
    } catch (error) {
      return error.params?.reason !== "no_such_event";
    }
    return true;
  };
  return { functions: Object.fromEntries(Object.entries(functions).filter(([path]) => has(path))), events: events.filter(tells) };
}

/**
 * Serves pages, a map of paths to their content, with the module for them. `home` is where the library of machines is,
 * `libraries` where libqemu is; pages may not choose others. `config` is told to pages; `rawfiles` is the folder of the app's raw files.
 * Comes to `{ url, close }`.
 */
export async function serve({ native, modulePath, home, libraries, pages, config = {}, port = 0, rawfiles, maxUpload, alive = ALIVE }) {
  const functions = standIn(modulePath);
  functions.vsync(VSYNC, 0);
  const description = offered(readInterface(typings), native);
  const overrides = { "host.init": () => [home, libraries] };
  const own = new Map(SCRIPTS.map((name) => [`/bridge/${name}`, readFileSync(join(here, name), "utf8")]));
  own.set("/", WINDOWS[config.width] ? frame(WINDOWS[config.width]) : pages.get("/index.html"));
  own.set("/bridge/interface.js", `export default ${JSON.stringify(description)};\n`);

  const sessions = new Map();
  let last = 0;
  let guard;
  const http = createServer({ requestTimeout: 0, maxHeaderSize: 16 << 10 }, (request, response) => {
    answer(request, response).catch((error) => {
      if (!response.headersSent) refuse(response, 500, String(error));
      else response.destroy();
    });
  });
  await new Promise((resolve, reject) => http.once("error", reject).listen(port, "127.0.0.1", resolve));
  guard = new Guard(http.address().port);

  const sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE, perMessageDeflate: false });
  http.on("upgrade", (request, socket, head) => {
    const { pathname, searchParams } = addressed(request);
    const no = pathname !== "/bridge/socket" ? [404, "there is no such socket"]
      : sockets.clients.size >= MAX_SOCKETS ? [503, "there are too many pages: close some"]
      : guard.secretRefusal(request, searchParams.get("token") ?? "");
    if (no) {
      socket.end(`HTTP/1.1 ${no[0]} Refused\r\nconnection: close\r\ncontent-type: text/plain\r\n\r\n${no[1]}\n`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (open) => {
      socket.setNoDelay(true);
      last += 1;
      const number = last;
      open.isAlive = true;
      open.on("pong", () => { open.isAlive = true; });
      open.on("error", () => {});
      sessions.set(number, new Session({ native, description, functions, overrides, socket: open, number, config }));
      open.on("close", () => sessions.delete(number));
    });
  });
  const looking = setInterval(() => {
    for (const socket of sockets.clients) {
      if (!socket.isAlive) socket.terminate();
      socket.isAlive = false;
      socket.ping();
    }
  }, alive);

  async function answer(request, response) {
    const { pathname, searchParams } = addressed(request);
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    const no = guard.refusal(request);
    if (no) return refuse(response, ...no);
    const session = sessions.get(Number(searchParams.get("connection")));
    if (request.method === "POST") {
      const no = guard.secretRefusal(request) ?? (session ? undefined : [404, "there is no such connection"]);
      if (no) return refuse(response, ...no);
      if (pathname === "/bridge/job") return begin(request, response, session, Number(searchParams.get("sent")));
      if (pathname === "/bridge/upload") return upload(request, response, session, searchParams.get("name") ?? "");
      return refuse(response, 404, "there is no such thing here");
    }
    if (request.method !== "GET") return refuse(response, 405, "pages are got");
    if (pathname.startsWith("/bridge/file/")) return download(response, pathname);
    if (pathname.startsWith("/rawfile/")) return rawfile(response, pathname.slice("/rawfile/".length));
    const content = own.get(pathname) ?? pages.get(pathname);
    if (content === undefined) return refuse(response, 404, "there is no such page");
    const { type, body } = content.body === undefined ? { body: content } : content;
    response.setHeader("content-type", type ?? TYPES[extname(pathname) || ".html"] ?? "application/octet-stream");
    return response.end(body);
  }

  async function begin(request, response, session, sent) {
    const parts = [];
    let length = 0;
    for await (const part of request) {
      length += part.length;
      if (length > MAX_MESSAGE) return refuse(response, 413, `a message has at most ${MAX_MESSAGE} bytes`);
      parts.push(part);
    }
    const body = Buffer.concat(parts);
    const isText = request.headers["content-type"]?.startsWith("text/");
    const value = await session.begin(decode(isText ? body.toString() : new Uint8Array(body)), sent);
    response.setHeader("content-type", "application/json");
    return response.end(JSON.stringify({ id: value }));
  }

  async function upload(request, response, session, name) {
    let taken;
    try {
      taken = await session.files.take(name, request, maxUpload);
    } catch (error) {
      response.setHeader("connection", "close");
      return refuse(response, error.code === "too_large" ? 413 : 500, told(error).message);
    }
    response.setHeader("content-type", "application/json");
    return response.end(JSON.stringify(taken));
  }

  function rawfile(response, name) {
    // An address has no steps upwards left, but its escapes may say anything.
    const path = /^[\w.-]+(\/[\w.-]+)*$/.test(name) && !name.includes("..") && rawfiles ? join(rawfiles, name) : undefined;
    if (!path || !statSync(path, { throwIfNoEntry: false })?.isFile()) return refuse(response, 404, "there is no such file");
    response.setHeader("content-type", TYPES[extname(path)] ?? "application/octet-stream");
    return createReadStream(path).on("error", () => response.destroy()).pipe(response);
  }

  function download(response, path) {
    const file = [...sessions.values()].map(({ files }) => files.at(path)).find((one) => one !== undefined);
    if (!file) return refuse(response, 404, "there is no such file");
    response.setHeader("content-type", "application/octet-stream");
    response.setHeader("content-length", file.size);
    response.setHeader("content-disposition", `attachment; filename*=UTF-8''${encodeURIComponent(file.name)}`);
    return file.stream().on("error", () => response.destroy()).pipe(response);
  }

  /** Ends all connections. */
  function close() {
    clearInterval(looking);
    for (const socket of sockets.clients) socket.terminate();
    http.closeAllConnections();
    return new Promise((resolve) => http.close(resolve));
  }

  return { url: guard.url, token: guard.token, port: http.address().port, close, sessions };
}

/** What a request is for; nothing that is here, if it cannot be read. */
function addressed({ url }) {
  return URL.canParse(url, "http://localhost") ? new URL(url, "http://localhost") : new URL("http://localhost/-");
}

function refuse(response, status, words) {
  response.statusCode = status;
  response.setHeader("content-type", "text/plain");
  response.end(`${words}\n`);
}
