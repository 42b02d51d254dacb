// Texts of codes: every code of docs/errors.md has texts in both languages or is left out with a reason, and every text renders.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { model } from "./lib/models.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const LANGUAGES = ["base", "zh_CN"];

/** Only the command line, the control protocol, a log or a developer meets these; they are told as an unknown code. */
const LEFT_OUT = {
  "the command line's arguments": [
    "ambiguous", "bad_forward", "no_library", "no_preset", "no_snapshot_under_way", "no_source", "other_format", "part_of_a_machine",
    "bad_field", "unknown_arch", "unknown_mode", "answers_unfit", "no_user", "bad_time",
  ],
  "files of text that only the command line reads": ["text_too_long", "not_utf8"],
  "files of sound that only the command line reads and writes": ["bad_wav", "wav_full"],
  "catalogues of one's own, which the app does not take": [
    "bad_catalogue", "bad_catalogue_entry", "catalogue_too_large", "too_old",
  ],
  "seeds of one's own, which the app does not take": ["bad_key_option", "seed_doubtful", "seed_file_does_not_fit"],
  "the control protocol, and processes that are not the app's": [
    "bad_fd", "cannot_kill", "file_exists", "folder_missing", "idle_too_long", "invalid_request", "machine_unintelligible",
    "not_allowed", "place_given_away", "process_stays", "process_unknown", "protocol_version", "sandbox_refused", "socket_in_use",
    "socket_name_too_long", "supervisor_ended", "too_many_requests",
  ],
  "what a device that is being paired is told, whose page has texts of its own": [
    "bad_pairing_message", "no_pairing_code", "pairing_code_used", "pairing_tried_too_often", "wrong_pairing_code", "not_paired",
    "stale_nonce", "wrong_signature",
  ],
  "servers and names that only the command line chooses": ["not_loopback", "weak_token", "several_devices"],
  "publishing to a media server, which the app does not do": [
    "bad_stream_answer", "no_room_for_viewer", "no_stream_format", "not_published", "publish_bad_address", "publish_bad_answer", "publish_blocked",
    "publish_failed", "publish_lost", "publish_not_found", "publish_not_set_up", "publish_refused", "publish_unprotected", "publish_unreachable", "stream_not_offered",
  ],
  "servers for ICE, which only the command line names": ["bad_ice_server", "no_ice_server", "too_many_ice_servers"],
  "libraries that other users may write to, which the app's cannot be": ["not_ours", "others_write"],
  "mistakes of a program, which only its log tells": [
    "bad_cursor", "bad_rectangle", "bad_sound", "sound_not_connected", "display_malformed", "display_refused", "not_finite", "not_mapped", "tiled_picture",
    "too_many_consoles", "too_many_fingers", "not_initialised", "unknown_button", "unknown_key",
  ],
};

const REASONS_LEFT_OUT = {
  bad_field: "*", bad_key_option: "*", seed_doubtful: "*", seed_file_does_not_fit: "*",
  bad_password: ["password_hash", "windows_password"],
  // Of what a first start is told, the app gives a user, a password, keys and a host name.
  bad_value: [
    "command", "gateway", "hardware_address", "instance_name", "keyboard", "locale", "network_prefix", "package", "product_key",
    "shell", "time_zone", "volume_label", "windows_edition", "windows_keyboard", "windows_locale", "windows_time_zone",
    "windows_user_name",
  ],
  // A button, an event or a display that does not exist is a mistake of a page.
  invalid: ["engine", "no_display_number", "no_such_event", "no_surface_id"],
  // They are told by one text, whatever is wrong.
  bad_argument: "*", bad_libqemu: "*", no_connection: "*", no_permission: "*", other_mirror: "*", restart_needed: "*",
  surface_not_ready: "*",
  damaged_key: "*", not_a_key: "*", private_key: "*",
};

const { explain, knownEntries, knowsReason } = await model("messages");
const { REASONS } = await model("messages_reasons");
const terms = await model("terms");

const strings = Object.fromEntries(LANGUAGES.map((language) => [language, resources(language)]));

function resources(language, files = /./) {
  const found = new Map();
  const at = join(root, "entry/src/main/resources", language, "element");
  for (const file of readdirSync(at).filter((one) => files.test(one))) {
    for (const { name, value } of JSON.parse(readFileSync(join(at, file), "utf8")).string ?? []) {
      assert.ok(!found.has(name), `${language}: ${name} is there twice`);
      found.set(name, value);
    }
  }
  return found;
}

/** As the system fills in: by position, texts alone for `%s`, and what was filled in is not looked at again. */
function texts(language) {
  const fill = (text, values) => text.replace(/%(\d)\$([sd])/g, (_, n, kind) => {
    const value = values[n - 1];
    assert.equal(typeof value, kind === "s" ? "string" : "number", `“${text}” gets ${values}`);
    return value;
  });
  const get = (name, values) => (strings[language].has(name) ? fill(strings[language].get(name), values) : undefined);
  return {
    get,
    of: ({ path, params }) => get(path.replace("app.string.", ""), params) ?? assert.fail(`${language} has no ${path}`),
    count: (_, n) => `${n}`,
    locale: () => (language === "base" ? "en" : "zh-Hans-CN"),
  };
}

const placeholders = (text) => [...new Set([...text.matchAll(/%(\d)\$s/g)].map((found) => Number(found[1])))].sort();
const plain = (text) => text.replace(/%\d\$s/g, "");

/** The tables of docs/errors.md: codes with the values of each of their texts, and reasons with theirs. */
function documented() {
  const codes = new Map();
  const reasons = [];
  for (const line of readFileSync(join(root, "docs/errors.md"), "utf8").split("\n")) {
    const cells = line.replaceAll("\\|", "¦").split("|").map((cell) => cell.trim());
    const names = (cell) => [...cell.matchAll(/`(\w+)`/g)].map((found) => found[1]);
    if (!cells[1]?.startsWith("`")) continue;
    if (cells.length === 5) codes.set(names(cells[1])[0], [...(codes.get(names(cells[1])[0]) ?? []), names(cells[2])]);
    else reasons.push({ code: names(cells[1])[0], reason: names(cells[2])[0], values: names(cells[3]) });
  }
  return { codes, reasons };
}

const { codes, reasons } = documented();
const leftOut = new Set(Object.values(LEFT_OUT).flat());
const entries = new Map(knownEntries().map((entry) => [entry.code, entry]));
/** Their reason is what a value should have been. */
const rules = ["bad_name", "bad_medium_name", "bad_password", "bad_value", "document_fault", "invalid"];

function reasonLeftOut({ code, reason }) {
  return leftOut.has(code) || REASONS_LEFT_OUT[code] === "*" || REASONS_LEFT_OUT[code]?.includes(reason);
}

/** A value that this name may have in a message of this code. */
function sample(name, code) {
  const own = { "unknown_format.wanted": "disk", "cd_image.wanted": "machine", "too_many.what": "drives", "port_in_use.what": "forward",
    "nul_character.what": "argument", "bad_value.field": "the user's name", "kvm_runs.host": "2900.0", "kvm_emulated.host": "2900.0",
    "boot_order_taken.by": "cd0", "mac_taken.by": "net0", "file_compressed.by": "bzip2" };
  const words = {
    arch: "aarch64", archs: "x86_64 and aarch64", field: "memory.mib", part: "drives.disk0", doing: "start", state: "powered-off",
    what: "web_page", by: "network.cards.0.forwards.0", url: "https://ada:1@example.org/debian.iso?a=%20", host: "example.org",
    page: "https://example.org/a", path: "/data/storage/el2/vms/debian/disks/disk0.qcow2", dependents: "web, db",
    guest: "2000.0", codes: "memory_tight no_such_code port_reachable",
  };
  return own[`${code}.${name}`] ?? words[name] ?? (NUMBERS.has(name) ? 4321 : `a ${name}`);
}
const NUMBERS = new Set([...knownEntries().flatMap((entry) => entry.texts), ...REASONS.flatMap((one) => one.values)]
  .flatMap((line) => line.split(" ")).filter((spec) => /:(bytes|memory|seconds|ms)$/.test(spec)).map((spec) => spec.split(":")[0])
  .concat(["count", "most", "port", "cpus", "cores", "status", "limit", "error", "loaded", "done", "pid", "known"]));

/** What is wrong with what somebody would be told. */
function faults({ what, why, remedy, action }) {
  const told = [what, why, remedy].join("\n");
  return [
    what === "" && "says nothing", /%|undefined|NaN|null|\[object/.test(told) && `says ${told}`,
    action === "none" && remedy !== "" && "offers nothing with a button",
    action !== "none" && remedy === "" && "has a button without a text",
  ].filter(Boolean);
}

test("every code has texts, or is left out", () => {
  const missing = [...codes.keys()].filter((code) => !entries.has(code) && !leftOut.has(code));
  assert.deepEqual(missing, [], "codes without texts: add them to model/messages_*.ets and element/messages*.json, or to LEFT_OUT here");
  assert.deepEqual([...leftOut].filter((code) => entries.has(code)), [], "left out, and yet there");
  assert.deepEqual([...leftOut].filter((code) => !codes.has(code)), [], "left out, and not in the list of codes");
});

test("every reason has a text, or is left out", () => {
  const missing = reasons.filter((one) => !reasonLeftOut(one) && !knowsReason(one.code, one.reason));
  assert.deepEqual(missing.map((one) => `${one.code}.${one.reason}`), [], "reasons without texts: add them to model/messages_reasons.ets");
});

test("the texts of both languages have the values of the tables", () => {
  const lines = knownEntries().flatMap((entry) => entry.texts.map((line) => {
    const [part, ...values] = line.split(" ");
    return { name: `err_${entry.code}_${part}`, values };
  })).concat(REASONS.map(({ name, values }) => ({ name: `reason_${name}`, values })));
  const wrong = [];
  for (const { name, values } of lines) {
    for (const language of LANGUAGES) {
      const text = strings[language].get(name);
      const wanted = values.map((_, i) => i + 1);
      if (text === undefined) wrong.push(`${language}: ${name} is missing`);
      else if (`${placeholders(text)}` !== `${wanted}` || plain(text).includes("%")) {
        wrong.push(`${language}: ${name} has ${text}, and gets ${values}`);
      }
    }
  }
  const used = new Set(lines.map((line) => line.name));
  for (const language of LANGUAGES) {
    for (const name of resources(language, /^messages/).keys()) {
      if (/^(err|reason)_/.test(name) && !used.has(name)) wrong.push(`${language}: ${name} is not used`);
      if (!strings[LANGUAGES.find((other) => other !== language)].has(name) && /^(err|reason|word|action)_/.test(name)) {
        wrong.push(`${name} is in ${language} alone`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

test("what a text names is a value that its code can have", () => {
  const wrong = [];
  for (const [code, samples] of codes) {
    const entry = entries.get(code);
    if (entry === undefined) continue;
    // Rows of a code with reasons have the values that all of them have.
    const more = reasons.filter((one) => one.code === code).flatMap((one) => one.values);
    const known = new Set([...samples.flat(), ...more, "reason", "rule"]);
    for (const spec of entry.texts.flatMap((line) => line.split(" ").slice(1))) {
      if (!known.has(spec.split(":")[0])) wrong.push(`${code}: ${spec}`);
    }
  }
  assert.deepEqual(wrong, []);
});

for (const language of LANGUAGES) {
  test(`every text renders (${language})`, () => {
    const wrong = [];
    const tell = (code, names, more) => {
      const params = { ...Object.fromEntries(names.map((name) => [name, sample(name, code)])), ...more };
      const told = explain({ code, params, message: `the English of ${code}` }, texts(language));
      for (const fault of faults(told)) wrong.push(`${code} ${JSON.stringify(params)}: ${fault}`);
      return told;
    };
    for (const [code, samples] of codes) for (const names of samples) tell(code, names, {});
    for (const one of reasons) {
      const choice = rules.includes(one.code) ? "rule" : "reason";
      const told = tell(one.code, one.values, { [choice]: one.reason });
      // What keeps memory from being saved is told at once by its reason.
      if (!reasonLeftOut(one) && told.why === "" && one.code !== "state_blocker") {
        wrong.push(`${one.code}.${one.reason} is not told`);
      }
    }
    for (const entry of knownEntries()) {
      for (const line of entry.texts) {
        const names = line.split(" ").slice(1).map((spec) => spec.split(":")[0]).filter((name) => name !== "reason" && name !== "rule");
        tell(entry.code, names, {});
      }
    }
    assert.deepEqual(wrong, []);
  });

  test(`whatever comes is told without an error (${language})`, () => {
    const hostile = [undefined, {}, { needed: {}, free: null }, { path: "%s%1$s%2$d" }, { path: "x".repeat(1e6), why: "%d\n\u202e\u0000" },
      { reason: "bad_change", rule: "bad_change", name: "" }, { reason: "__proto__", rule: "constructor" }, { needed: NaN, free: -1 },
      { needed: "a lot", free: Infinity, bytes: 1e300, timeout_ms: 1e300, seconds: 1e18 }];
    for (const code of [...entries.keys(), "", "__proto__", "no_such_code", "x".repeat(1e5)]) {
      for (const params of hostile) {
        const told = explain({ code, params, message: "QEMU's own words: 50%" }, texts(language));
        assert.deepEqual(faults(told), [], `${code.slice(0, 40)} ${Object.keys(params ?? {})}`);
        assert.ok(told.what.length + told.why.length < 2000, code.slice(0, 40));
      }
    }
    assert.equal(explain({ code: "x", params: {} }, texts(language)).why, "");
    assert.equal(explain({ code: "x", params: {}, message: "its words" }, texts(language)).why, "its words");
  });

  test(`every term has a text (${language})`, () => {
    for (const [name, members] of Object.entries(termValues())) {
      for (const member of members) assert.ok(texts(language).of(terms[name](member)).length > 0, `${name} ${member}`);
      const named = new Set(members.map((member) => terms[name](member).path));
      assert.equal(named.size, new Set(members).size, `${name}: a member has the name of another one`);
    }
  });
}

/** The members of the module's unions, and the words that are only texts there. */
function termValues() {
  const typings = readFileSync(join(root, "entry/types/libsampan/Index.d.ts"), "utf8");
  const declared = (type) => typings.match(new RegExp(`export type ${type} =([^;]*);`))[1];
  const union = (type) => [...declared(type).matchAll(/\| '(\w+)'/g)].map((found) => found[1]);
  const sources = ["native/napi/src", "native/manager/src"].flatMap((at) => rust(join(root, at))).join("\n");
  const quoted = (pattern) => [...new Set([...sources.matchAll(pattern)].map((found) => found[1]))];
  const jobs = quoted(/\b(?:begin|begin_of|spawn_job)\(\s*"([a-z-]+)"/g);
  const phases = quoted(/\.report\(\s*"([a-z-]+)"/g);
  assert.ok(jobs.length > 15 && phases.length > 2, `${jobs}; ${phases}`);
  for (const job of jobs) assert.notEqual(terms.jobName(job).path, "app.string.job_other", job);
  for (const phase of phases) assert.notEqual(terms.phaseName(phase).path, "app.string.phase_other", phase);
  return {
    stateName: union("State"), presetName: union("Preset"), presetNote: union("Preset"), archName: union("Arch"),
    endName: union("EndKind"), modeName: union("Mode"), modeNote: union("Mode"), driveName: union("DriveKind"), partName: [...union("Part"), ...union("Waste")],
    entryKindName: union("EntryKind"), jobName: [...jobs, "what is to come"], phaseName: [...phases, "what is to come"],
    acceleratorName: ["kvm", "tcg", "tci", ""], acceleratorNote: ["kvm", "tcg", "tci"],
    busName: ["virtio-blk", "virtio-scsi", "nvme", "sata", "ide", "usb", "floppy", ""],
  };
}

function rust(at) {
  return readdirSync(at, { withFileTypes: true, recursive: true }).filter((one) => one.name.endsWith(".rs"))
    .map((one) => readFileSync(join(one.parentPath ?? one.path, one.name), "utf8"));
}

test("the examples of the design read as they should", () => {
  const told = (code, params) => Object.values(explain({ code, params, message: "" }, texts("zh_CN"))).slice(0, 3).join(" / ");
  assert.equal(told("no_memory", { wanted_mib: 6144, room_mib: 4198, memory_mib: 8000, available_mib: 5000 }),
    "内存不够 / 需要 6 GB，现在只腾得出 4.1 GB / 改为 4.1 GB");
  assert.equal(told("port_in_use", { port: 2222, what: "forward", forward: "tcp:127.0.0.1:2222:22", address: "127.0.0.1" }),
    "端口 2222 被占用 / 端口转发要用的端口，别的程序正在用 / 换个端口");
  assert.equal(told("backing_file", { name: "/base.qcow2" }),
    "这个镜像还依赖另一个文件 / 缺少“base.qcow2”就打不开 / 先合并成一个文件");
  assert.equal(told("document_fault", { field: "memory.mib", rule: "memory_out_of_range", mib: 8, least_mib: 16, most_mib: 1048576 }),
    "虚拟机的内存设置有误 / 内存不能设为 8 MB，可以设为 16 MB 到 1 TB / 去修改");
});
