// Connects a page to the preview's server, and sets `sampanHost` to what stands in for the device.
import description from "./interface.js";
import { painter } from "./canvas.js";
import { Link } from "./client.js";
import { files } from "./files.js";
import { proxy } from "./proxy.js";
import { token } from "./secret.js";
import { encode } from "./wire.js";

/** A job has its id when the call returns: this waits for it, as nothing else in a browser does. */
function beginNow(link, message) {
  const request = new XMLHttpRequest();
  const data = encode(message);
  request.open("POST", `/bridge/job?${new URLSearchParams({ connection: link.hello.connection, sent: link.sent })}`, false);
  request.setRequestHeader("authorization", `Bearer ${token}`);
  request.setRequestHeader("content-type", typeof data === "string" ? "text/plain" : "application/octet-stream");
  request.send(data);
  if (request.status !== 200) throw new Error(`the preview's server has not begun it: ${request.responseText}`);
  return JSON.parse(request.responseText).id;
}

const link = await Link.open(new WebSocket(`ws://${location.host}/bridge/socket?token=${encodeURIComponent(token)}`), beginNow);

globalThis.sampanHost = {
  native: proxy(description, link),
  surface: (canvas) => {
    const { id, destroy } = link.surface(painter(canvas));
    return { id, destroy, resize() {} };
  },
  files: files(link, token),
  config: link.hello.config,
  closed: link.closed,
};
