// A cloud image's first start: what `sampan new` is told becomes a system with a user who can log in.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Library, debian } from "./lib/library.js";
import { folder, until } from "./lib/processes.js";

/** cloud-init takes most of a minute on an emulated processor that is its own. */
const FIRST_START_MS = 300_000;

/** A field of SSH's (RFC 4251, 5). */
function field(bytes) {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** A pair of keys: a line as in `id_ecdsa.pub` (RFC 5656, 3.1), and the private one in a form that ssh reads. */
function keys(comment) {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const { x, y } = publicKey.export({ format: "jwk" });
  const point = Buffer.concat([Buffer.from([4]), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]);
  const kind = "ecdsa-sha2-nistp256";
  const blob = Buffer.concat([kind, "nistp256", point].map((part) => field(Buffer.from(part))));
  return {
    line: `${kind} ${blob.toString("base64")} ${comment}`,
    pem: privateKey.export({ type: "sec1", format: "pem" }),
  };
}

describe("a cloud image", () => {
  const dir = folder("cloud");
  const key = keys("ada@host");
  let here;
  const sh = async (line) => (await here.exec("web", "sh", "-c", line)).trim();

  before(async () => {
    const disk = await debian("cloud");
    here = new Library(join(dir, "home"));
    for (const [name, text] of [["id.pub", `${key.line}\n`], ["id", key.pem], ["other", keys("other").pem]]) {
      writeFileSync(join(dir, name), text, { mode: 0o600 });
    }
    await here.json("new", "web", "--image", disk, "--disk", "4G", "--memory", "768M", "--cpus", "2", "--arch", "x86_64",
      "--user", "ada", "--ssh-key", join(dir, "id.pub"), "--hostname", "box");
    await here.json("start", "web");
    await here.booted("web");
    // The agent is there before cloud-init is through.
    await until(async () => /done|error|disabled/.test(await sh("cloud-init status || true")), "cloud-init", FIRST_START_MS, 1000);
  }, { timeout: 900_000 });

  after(async () => {
    await here?.stopAll();
    rmSync(dir, { recursive: true, force: true });
  });

  test("finds its seed on the CD and follows it without a complaint", async () => {
    const status = await sh("cloud-init status --long; cat /run/cloud-init/result.json || true");
    assert.match(status, /status: done/);
    assert.match(status, /DataSourceNoCloud \[seed=\/dev\/sr/);
    assert.match(status, /"errors": \[\]/);
    const { document } = await here.json("show", "web");
    assert.equal(await sh("cat /var/lib/cloud/data/instance-id"), document.system.uuid);
    assert.equal(await sh("cat /etc/hostname; hostname"), "box\nbox");
    // The root's file system has grown into the disk that was asked for.
    assert.ok(Number(await sh("df -B1M --output=size / | tail -1")) > 3500);
  });

  test("has the user, who logs in by the key alone and may become root", async () => {
    assert.match(await sh("getent passwd ada"), /:\/home\/ada:\/bin\/sh$/);
    assert.match(await sh("passwd --status ada"), /^ada L /, "no password");
    assert.equal(await sh("cat /home/ada/.ssh/authorized_keys"), key.line);
    assert.equal(await sh("stat -c '%U %a' /home/ada/.ssh /home/ada/.ssh/authorized_keys"), "ada 700\nada 600");
    for (const name of ["id", "other"]) {
      await here.json("file", "push", "web", join(dir, name), `/root/${name}`);
    }
    await sh("chmod 600 /root/id /root/other");
    const ssh = (name) => `ssh -i /root/${name} -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no ada@localhost`;
    assert.equal(await sh(`${ssh("id")} 'id -un; sudo -n id -un' 2>/dev/null`), "ada\nroot");
    assert.match(await here.fails("web", `${ssh("other")} true`), /Permission denied \(publickey\)/);
  });
});
