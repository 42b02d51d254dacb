// A small server of a site, for tests and for looking at pages: on the loopback alone.
import { createServer } from "node:http";
import { contentType } from "./web.js";

/** Serves a map of `site()`. Comes to `{ url, close }`. */
export async function serve(site, { port = 0 } = {}) {
  const files = await site;
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const path = pathname === "/" ? "/index.html" : decodeURIComponent(pathname);
    const body = files.get(path);
    response.writeHead(body === undefined ? 404 : 200, { "content-type": contentType(path), "cache-control": "no-store" });
    response.end(body ?? "not found");
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}
