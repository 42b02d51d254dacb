// Small web servers for the clients of others, and ports for their servers.
import http from "node:http";
import { existsSync, readFileSync } from "node:fs";
import { once } from "node:events";
import net, { createServer } from "node:net";
import { join, normalize } from "node:path";

/** Serves a page, its script, and those files below `root` whose path fits `files`: `{url, close}`. */
export function serve({ title, style = "", body, script, root, files }) {
  const page = `<!doctype html><meta charset="utf-8"><title>${title}</title><style>html,body{margin:0;height:100%;overflow:hidden}${style}</style>
${body}<script type="module" src="/page.js"></script>`;
  const server = http.createServer((request, response) => {
    const path = normalize(new URL(request.url, "http://localhost").pathname);
    const send = (type, content) => response.writeHead(200, { "Content-Type": type }).end(content);
    if (path === "/") return send("text/html", page);
    if (path === "/page.js") return send("text/javascript", script);
    const file = join(root, path);
    if (!files.test(path) || !existsSync(file)) return response.writeHead(404).end();
    return send("text/javascript", readFileSync(file));
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const close = () => {
        server.close();
        server.closeAllConnections();
      };
      resolve({ url: `http://127.0.0.1:${server.address().port}`, close });
    });
  });
}

/** Whether something takes connections there, as `net.connect` is told where. */
export async function listens(to) {
  const socket = net.connect(to);
  const there = await once(socket, "connect").then(() => true, () => false);
  socket.destroy();
  return there;
}

/** A port of this computer that nothing listens on. */
export function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
