// Image kit: pictures out of bytes. Core file kit: files and the pickers.
import { env } from "../env.js";
import { businessError, strict } from "../strict.js";
import { notedAsync, record } from "./record.js";

const base64 = (bytes) => {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
};

class PixelMap {
  constructor(url, size) {
    Object.assign(this, { $url: url, size, isEditable: false, isStrideAlignment: false });
  }
  async getImageInfo() {
    return this.getImageInfoSync();
  }
  getImageInfoSync() {
    return { size: this.size, density: 1, stride: this.size.width * 4, pixelFormat: 3, alphaType: 1, mimeType: "image/png", isHdr: false };
  }
  getPixelBytesNumber() {
    return this.size.width * this.size.height * 4;
  }
  async release() {
    this.$released = true;
  }
}

/** Width and height out of a PNG's or a JPEG's head. */
function measure(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length > 24 && view.getUint32(0) === 0x89504e47)
    return { type: "image/png", size: { width: view.getUint32(16), height: view.getUint32(20) } };
  if (bytes[0] === 0xff && bytes[1] === 0xd8) {
    for (let at = 2; at + 9 < bytes.length;) {
      const kind = bytes[at + 1];
      if (kind >= 0xc0 && kind <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(kind))
        return { type: "image/jpeg", size: { width: view.getUint16(at + 7), height: view.getUint16(at + 5) } };
      at += 2 + view.getUint16(at + 2);
    }
  }
  throw businessError(62980096, "the bytes are no picture that the preview reads");
}

function createImageSource(data) {
  if (!(data instanceof ArrayBuffer || ArrayBuffer.isView(data))) throw businessError(401, "the preview makes pictures of an ArrayBuffer alone");
  // ArkTS takes an ArrayBuffer. A view's buffer may hold more than the picture, which a device would read from its begin.
  if (ArrayBuffer.isView(data)) throw businessError(401, "createImageSource takes an ArrayBuffer, no view of one: slice its buffer");
  const bytes = new Uint8Array(data);
  return strict("ImageSource", {
    supportedFormats: ["image/png", "image/jpeg"],
    createPixelMap: async () => make(bytes),
    createPixelMapSync: () => make(bytes),
    getImageInfo: async () => ({ size: measure(bytes).size }),
    getImageInfoSync: () => ({ size: measure(bytes).size }),
    release: async () => {},
  });
}
function make(bytes) {
  const { type, size } = measure(bytes);
  return new PixelMap(`data:${type};base64,${base64(bytes)}`, size);
}

/** Pickers come to what a test laid ready: `env.picks`, a list of lists of addresses. */
const pick =
  (kind) =>
  async (options = {}) => {
    record(`picker.${kind}`, options);
    // A browser shows its own chooser.
    if (env.files && kind === "save") return [(await env.files.save(options.newFileNames?.[0] ?? "file")).uri];
    if (env.files)
      return (
        await env.files.open({
          multiple: (options.maxSelectNumber ?? 1) > 1,
          suffixes: options.fileSuffixFilters?.flatMap((one) => one.split("|").at(-1).split(",")),
        })
      ).map((one) => one.uri);
    return env.picks?.shift() ?? [];
  };
class DocumentViewPicker {
  select(options) {
    return pick("select")(options);
  }
  save(options) {
    return pick("save")(options);
  }
}
class PhotoViewPicker {
  async select(options) {
    return { photoUris: await pick("photo")(options), isOriginalPhoto: false };
  }
}

const path = (address) => String(address).replace(/^file:\/\/(docs|media|[\w.]+)?(?=\/)/, "");
const files = () => {
  if (!env.fs) throw businessError(13900012, "there are no files here");
  return env.fs;
};
const failing = (fn) => {
  try {
    return fn();
  } catch (error) {
    if (typeof error.code === "number") throw error;
    throw businessError(
      { ENOENT: 13900002, EEXIST: 13900015, EACCES: 13900012, ENOSPC: 13900025, ENOTDIR: 13900018 }[error.code] ?? 13900042,
      error.message,
    );
  }
};
const stat = (found) => ({
  ino: 0n,
  mode: found.mode,
  uid: 0,
  gid: 0,
  size: found.size,
  atime: found.atimeMs / 1000,
  mtime: found.mtimeMs / 1000,
  ctime: found.ctimeMs / 1000,
  isDirectory: () => found.isDirectory(),
  isFile: () => found.isFile(),
  isSymbolicLink: () => false,
});
const OPEN = {
  READ_ONLY: 0,
  WRITE_ONLY: 1,
  READ_WRITE: 2,
  CREATE: 0o100,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  DIR: 0o200000,
  NOFOLLOW: 0o400000,
  SYNC: 0o4010000,
};
const sync = {
  openSync: (name, mode = 0) =>
    failing(() => {
      const at = path(name);
      if (env.files) return { fd: env.files.openSync(name), path: at, name: at.split("/").pop() };
      return {
        fd: files().openSync(at, mode & 0o3777),
        path: at,
        name: at.split("/").pop(),
        getParent: () => at.replace(/\/[^/]*$/, ""),
        lock: async () => {},
        tryLock() {},
        unlock() {},
      };
    }),
  closeSync: (file) => failing(() => (env.files ?? files()).closeSync(typeof file === "number" ? file : file.fd)),
  accessSync: (name) => failing(() => files().existsSync(path(name))),
  mkdirSync: (name, recursion = false) => failing(() => void files().mkdirSync(path(name), { recursive: recursion })),
  rmdirSync: (name) => failing(() => files().rmSync(path(name), { recursive: true })),
  unlinkSync: (name) => failing(() => files().unlinkSync(path(name))),
  renameSync: (from, to) => failing(() => files().renameSync(path(from), path(to))),
  copyFileSync: (from, to) => failing(() => files().copyFileSync(path(from), path(to))),
  listFileSync: (name) => failing(() => files().readdirSync(path(name))),
  readTextSync: (name) => failing(() => files().readFileSync(path(name), "utf8")),
  statSync: (which) => failing(() => stat(typeof which === "number" ? files().fstatSync(which) : files().statSync(path(which)))),
  readSync: (fd, buffer, options) =>
    failing(() => files().readSync(fd, new Uint8Array(buffer), 0, options?.length ?? buffer.byteLength, options?.offset ?? null)),
  writeSync: (fd, data, options) =>
    failing(() =>
      files().writeSync(
        fd,
        typeof data === "string" ? new TextEncoder().encode(data) : new Uint8Array(data),
        0,
        options?.length,
        options?.offset ?? null,
      ),
    ),
  fsyncSync: (fd) => failing(() => files().fsyncSync(fd)),
  truncateSync: (name, length = 0) => failing(() => files().truncateSync(path(name), length)),
};
// Each has a form that comes to a promise.
const later = Object.fromEntries(Object.entries(sync).map(([name, fn]) => [name.replace(/Sync$/, ""), async (...args) => fn(...args)]));

export const mediaShims = {
  "@ohos.multimedia.image": { default: { createImageSource } },
  "@ohos.file.picker": {
    default: {
      DocumentViewPicker,
      PhotoViewPicker,
      DocumentSelectOptions: class {
        constructor(options) {
          Object.assign(this, options);
        }
      },
      DocumentSaveOptions: class {
        constructor(options) {
          Object.assign(this, options);
        }
      },
      PhotoSelectOptions: class {},
    },
  },
  "@ohos.file.fs": { default: { ...sync, ...later, OpenMode: OPEN } },
  "@ohos.file.fileuri": {
    default: {
      FileUri: class FileUri {
        constructor(address) {
          this.address = address;
        }
        get path() {
          return path(this.address);
        }
        get name() {
          return decodeURIComponent(path(this.address).split("/").pop());
        }
        toString() {
          return this.address;
        }
        getFullDirectoryUri() {
          return this.address.replace(/\/[^/]*$/, "");
        }
      },
      getUriFromPath: (name) => `file://app.sampan${name}`,
    },
  },
  "@ohos.file.statvfs": {
    default: {
      getFreeSizeSync: () => env.device.freeSpace ?? 64e9,
      getTotalSizeSync: () => 128e9,
      getFreeSize: async () => env.device.freeSpace ?? 64e9,
      getTotalSize: async () => 128e9,
    },
  },
  "@ohos.fileshare": {
    default: {
      // Phones lend nothing for good.
      persistPermission: async (policies) => {
        if ((env.device.type ?? "phone") === "phone") throw businessError(801, "capability not supported");
        record("fileShare.persistPermission", policies);
      },
      ...notedAsync("fileShare", "activatePermission", "deactivatePermission", "revokePermission"),
    },
  },
  "@ohos.file.environment": {
    default: {
      getUserDownloadDir: () => "/storage/Users/currentUser/Download",
      getUserDocumentDir: () => "/storage/Users/currentUser/Documents",
      getUserHomeDir: () => "/storage/Users/currentUser",
    },
  },
};
