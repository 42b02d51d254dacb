// Messages as they go over the socket: JSON, with bytes beside it. In the browser and in Node.js.

/** The longest message to the server. What is longer is a file, which goes by itself. */
export const MAX_MESSAGE = 4 << 20;

/** What the first byte of a binary message says it is. */
export const MESSAGE = 1;
export const FRAME = 2;

/** Bytes of a frame's head, and of each rectangle that follows it; the pixels come after them. */
export const FRAME_HEAD = 20;
export const FRAME_RECT = 8;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A message as a text, or as bytes if there are bytes in it: their place is then told by `{"$bytes": [from, length]}`. */
export function encode(message) {
  const parts = [];
  let length = 0;
  const text = JSON.stringify(message, function replaced(key, turned) {
    // Node.js's buffers have turned themselves into something else already.
    const value = this[key] instanceof Uint8Array ? this[key] : turned;
    if (value instanceof Uint8Array) {
      parts.push(value);
      length += value.length;
      return { $bytes: [length - value.length, value.length] };
    }
    // JSON has no such numbers, and would make them null.
    if (typeof value === "number" && !Number.isFinite(value)) return { $number: String(value) };
    return value;
  });
  if (parts.length === 0) return text;
  const json = encoder.encode(text);
  const bytes = new Uint8Array(5 + json.length + length);
  bytes[0] = MESSAGE;
  new DataView(bytes.buffer).setUint32(1, json.length, true);
  bytes.set(json, 5);
  let at = 5 + json.length;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** What `encode` made a text or bytes of. Bytes in it are copies. Throws at what it did not make. */
export function decode(data) {
  const [text, bytes] = typeof data === "string" ? [data, new Uint8Array()] : parted(data);
  const message = JSON.parse(text, (key, value) => {
    if (value === null || typeof value !== "object") return value;
    if ("$bytes" in value) {
      const [from, length] = value.$bytes;
      if (!(Number.isInteger(from) && Number.isInteger(length) && from >= 0 && length >= 0 && from + length <= bytes.length)) {
        throw new RangeError("bytes that are not in the message");
      }
      return bytes.slice(from, from + length);
    }
    return "$number" in value ? Number(value.$number) : value;
  });
  if (message === null || typeof message !== "object" || typeof message.t !== "string") throw new TypeError("no message");
  return message;
}

function parted(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data[0] !== MESSAGE) throw new TypeError("no message");
  const end = 5 + view.getUint32(1, true);
  if (end > data.byteLength) throw new RangeError("a message that is cut off");
  return [decoder.decode(data.subarray(5, end)), data.subarray(end)];
}

/** An error as it is carried. */
export function told(error) {
  const { code, params, message } = error instanceof Error ? error : new Error(String(error));
  return { code, params, message };
}

/** The same error again. */
export function thrown({ code, params, message }) {
  const error = new Error(message);
  if (code !== undefined) error.code = code;
  if (params !== undefined && params !== null) error.params = params;
  return error;
}
