/** Puts the page together: one screen, one connection, and the controls around them. */
import { Recorder, copy, fileName, picture, save } from "./capture.ts";
import { ClipboardExchange } from "./clipboard.ts";
import { Connection } from "./connection.ts";
import type { ConnectionState } from "./connection.ts";
import { CursorView } from "./cursor.ts";
import { DisplaysView, displayIn, queryFor } from "./displays.ts";
import { FilesView, PathDialog, choose, takeDrops } from "./files.ts";
import { Follow } from "./follow.ts";
import type { Point } from "./geometry.ts";
import { KeyMenu } from "./keymenu.ts";
import { Keyboard } from "./keyboard.ts";
import { Menu } from "./menu.ts";
import type { DisplaysMessage, KeysMessage, PeopleMessage, ServerMessage, StatusMessage } from "./messages.ts";
import { NoticeCard } from "./notice.ts";
import { admit } from "./pair.ts";
import { PeopleView, drives } from "./people.ts";
import { Pointer } from "./pointer.ts";
import { Screen } from "./screen.ts";
import { SoundView } from "./sound.ts";
import { StatsPanel } from "./stats.ts";
import { Sticky } from "./sticky.ts";
import { strings } from "./strings.ts";
import { TextInput } from "./textinput.ts";
import { applyTheme, storedTheme } from "./theme.ts";
import { browserHome, takeToken, tokenIn } from "./token.ts";
import { Toolbar } from "./toolbar.ts";
import { loadTouchMode, saveTouchMode } from "./touch.ts";
import { noticeFor, stateText, untypedText } from "./view.ts";
import type { Capture } from "./view.ts";

/** The hint how to get the pointer back goes away by itself. */
const CAPTURE_HINT_MS = 3000;
/** So do other words about what has just happened. */
const TOLD_MS = 6000;
/** A first picture is there long before. */
const PICTURE_MS = 12_000;
/** What hides more of the page than this is a phone's keyboard. */
const LEAST_KEYBOARD_PX = 80;

class Viewer {
  #state: ConnectionState = { name: "connecting" };
  #guest: StatusMessage | undefined;
  #people: PeopleMessage | undefined;
  #picture = false;
  #overdue = false;
  #pictureTimer: number | undefined;
  #displayOff = false;
  #display = displayIn(location.search);
  #words = "";
  #capture: Capture = "none";
  #captureTimer: number | undefined;
  #told = "";
  #toldTimer: number | undefined;
  /** Whether the text field has the focus in place of the screen. */
  #writing = false;

  readonly #connection: Connection;
  readonly #screen = new Screen(() => this.#placed());
  readonly #cursor: CursorView | undefined;
  readonly #sticky = new Sticky(() => this.#keys?.update());
  readonly #text: TextInput;
  readonly #keyboard: Keyboard;
  readonly #pointer: Pointer;
  readonly #follow: Follow;
  readonly #stats: StatsPanel;
  readonly #keys: KeyMenu | undefined;
  readonly #menu: Menu | undefined;
  readonly #recorder: Recorder;
  readonly #toolbar: Toolbar;
  readonly #peopleView: PeopleView;
  readonly #displays: DisplaysView;
  readonly #clipboard: ClipboardExchange;
  readonly #files: FilesView;
  readonly #sound: SoundView;
  readonly #notice = new NoticeCard(() => this.#connection.start());

  constructor(token: string) {
    const connection = new Connection(token, {
      state: (state) => this.#connectionChanged(state),
      open: () => this.#opened(),
      message: (message) => this.#receive(message),
      stream: (stream) => this.#screen.show(stream),
      sound: (stream) => this.#sound.show(stream),
    });
    this.#connection = connection;
    connection.display = this.#display;
    this.#cursor = new CursorView(this.#screen);
    this.#text = new TextInput({
      text: (text) => this.#keyboard.text(text),
      back: (count) => {
        for (let i = 0; i < count; i++) this.#keyboard.tap(["Backspace"]);
      },
    });
    this.#keyboard = new Keyboard([this.#screen.surface, this.#text.root], this.#sticky, {
      send: (message) => {
        if (message.t === "release") this.#pointer.released();
        this.#send(message);
      },
      leave: () => this.#toolbar.focus(),
    });
    const touchMode = loadTouchMode();
    this.#pointer = new Pointer(this.#screen, touchMode, {
      sendKeys: (message) => this.#send(message),
      sendMotion: (message) => {
        if (drives(this.#people)) connection.sendMotion(message);
      },
      leading: (leading) => this.#cursor?.setLeading(leading),
      capture: (state) => this.#captureChanged(state),
      pressed: (at) => this.#focusGuest(at),
      used: () => this.#keyboard.used(),
      keyboard: () => this.#toolbar.setWriting(this.#write()),
      guestPointer: () => this.#cursor?.position,
    });
    this.#follow = new Follow(
      () => this.#screen.stageSize(),
      (message) => this.#send(message),
    );
    this.#stats = new StatsPanel(() => connection.peer, this.#screen.video);
    this.#recorder = new Recorder(this.#screen, {
      begin: () => this.#sound.beginRecording(),
      end: () => this.#sound.endRecording(),
      missing: () => this.#tell(strings.recordedSilently),
    }, (recording, kind) => {
      save(recording, fileName(this.#guest?.name ?? "", new Date(), kind));
    }, (recording) => {
      this.#menu?.recording(recording);
      this.#toolbar.setRecording(recording);
    });
    this.#peopleView = new PeopleView((message) => connection.sendKeys(message));
    this.#displays = new DisplaysView({
      show: (n) => {
        connection.sendKeys({ t: "display", n });
        this.#closeMenu();
        this.#focusGuest();
      },
      open: (n) => {
        this.#closeMenu();
        const hash = connection.token === "" ? "" : `#token=${encodeURIComponent(connection.token)}`;
        window.open(`${location.pathname}${queryFor(location.search, n)}${hash}`, "_blank", "noopener");
      },
    });
    this.#keys = new KeyMenu(this.#keyboard, this.#sticky);
    this.#clipboard = new ClipboardExchange((method, path, more) => connection.ask(method, path, more), (text) => this.#tell(text));
    this.#files = new FilesView((method, path, more) => connection.ask(method, path, more));
    takeDrops(this.#screen.stage, this.#files);
    this.#sound = new SoundView({
      send: (message) => connection.sendKeys(message),
      sender: () => connection.microphone,
      tell: (text) => this.#tell(text),
      changed: (state) => {
        this.#toolbar.setSound(state);
        if (state.card) document.documentElement.dataset["sound"] = state.hears ? "on" : "off";
        else delete document.documentElement.dataset["sound"];
        document.documentElement.dataset["microphone"] = state.speaks ? "on" : "off";
      },
    });
    const path = new PathDialog(this.#files);
    this.#menu = new Menu({
      sendFiles: () => choose(this.#files),
      fetchFile: () => path.open(),
      paste: () => void this.#clipboard.paste(),
      take: () => void this.#clipboard.take(),
      follow: () => {
        this.#follow.toggle();
        return this.#follow.enabled;
      },
      contents: (scale) => this.#follow.setScale(scale),
      stats: () => this.#stats.toggle(),
      screenshot: () => void this.#screenshot(),
      copy: () => this.#copy(),
      record: () => void this.#recorder.toggle(),
      touch: (mode) => {
        saveTouchMode(mode);
        this.#pointer.setMode(mode);
      },
      zoomOut: () => this.#screen.zoomOut(),
    }, { follows: this.#follow.enabled, contents: this.#follow.scale, touch: touchMode, sound: this.#sound.controls });
    this.#toolbar = new Toolbar({
      write: () => this.#write(),
      keys: () => this.#toggleKeys(),
      more: () => this.#menu?.toggle() === true,
      hear: () => this.#sound.hear(),
      speak: () => void this.#sound.speak(),
      leaveToolbar: () => {
        this.#closeMenu();
        this.#focusGuest();
      },
    });
    this.#menu.root.prepend(this.#peopleView.list, this.#displays.list);
    this.#toolbar.root.append(this.#menu.root);
    this.#screen.stage.append(this.#text.root);
    document.body.append(
      this.#toolbar.root, this.#screen.stage, this.#notice.root, this.#peopleView.root, this.#stats.root, this.#keys.root,
      this.#clipboard.root, this.#files.root, path.root, this.#sound.audio);
    this.#listen();
  }

  start(): void {
    this.#screen.focus();
    this.#connection.start();
  }

  #listen(): void {
    new ResizeObserver(() => {
      this.#screen.layout();
      this.#follow.soon();
    }).observe(this.#screen.stage);
    // A phone's keyboard covers the page without changing its size.
    for (const name of ["resize", "scroll"]) window.visualViewport?.addEventListener(name, () => this.#keyboardMoved());
    this.#screen.video.addEventListener("loadeddata", () => {
      this.#picture = true;
      this.#refresh();
    });
    this.#screen.surface.addEventListener("focus", () => {
      if (this.#writing) this.#text.focus();
    });
    // A press on the picture is not meant for the menu.
    this.#screen.stage.addEventListener("pointerdown", () => this.#closeMenu());
    window.addEventListener("online", () => this.#connection.check());
    network()?.addEventListener("change", () => this.#connection.check());
    window.addEventListener("pagehide", () => this.#connection.leave());
    window.addEventListener("pageshow", (event) => {
      // Back from the browser's page cache: the session was ended when the page was left.
      if (event.persisted) this.#connection.start();
    });
    window.addEventListener("hashchange", () => {
      // Another address for the same origin was opened in this tab.
      if (tokenIn(location.hash) === undefined) return;
      this.#connection.start(takeToken(browserHome()) ?? "");
    });
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden") return;
      this.#connection.check();
      this.#follow.now();
      this.#connectDisplay();
    });
  }

  #opened(): void {
    this.#files.reset();
    this.#sound.opened();
    this.#keyboard.reset();
    this.#pointer.reset();
    this.#cursor?.reset();
    this.#words = "";
    this.#overdue = false;
    window.clearTimeout(this.#pictureTimer);
    this.#pictureTimer = window.setTimeout(() => {
      this.#overdue = true;
      this.#refresh();
    }, PICTURE_MS);
    this.#follow.restart();
  }

  #receive(message: ServerMessage): void {
    switch (message.t) {
      case "status":
        this.#guest = message;
        this.#pointer.setGuest(message.absolute, message.touch);
        this.#files.allowed = message.files;
        this.#menu?.files(message.files);
        this.#titled();
        this.#refresh();
        break;
      case "people":
        this.#peopleChanged(message);
        break;
      case "displays":
        this.#displaysChanged(message);
        break;
      case "file":
        this.#files.told(message);
        break;
      case "sound":
        this.#sound.told(message);
        break;
      case "clipboard":
        this.#clipboard.show(message);
        this.#menu?.clipboard(message);
        break;
      case "size":
        this.#screen.setGuestSize(message);
        this.#displayOff = message.w === 0;
        this.#connectDisplay();
        this.#refresh();
        break;
      case "notice":
        this.#words = message.text;
        this.#refresh();
        break;
      case "locks":
        this.#keyboard.locks(message.caps, message.num);
        break;
      case "untyped":
        this.#tell(untypedText(message));
        break;
      case "cursor":
        this.#cursor?.setShape(message);
        break;
      case "cursorpos":
        this.#cursor?.setPosition(message);
        break;
    }
  }

  /** Input goes out while this page drives; a server that is asked for nothing else has nothing to ignore. */
  #send(message: KeysMessage): void {
    if (drives(this.#people)) this.#connection.sendKeys(message);
    else if ((message.t === "key" || message.t === "button") && message.down) this.#peopleView.remind();
  }

  #displaysChanged(displays: DisplaysMessage): void {
    this.#displays.show(displays);
    document.documentElement.dataset["display"] = String(displays.n);
    if (displays.n === this.#display) return;
    this.#display = displays.n;
    // It connects to this one again, and so does the page when it is loaded again.
    this.#connection.display = displays.n;
    history.replaceState(null, "", location.pathname + queryFor(location.search, displays.n) + location.hash);
    this.#titled();
    // What was down went up in the guest.
    this.#keyboard.reset();
    this.#pointer.reset();
    this.#screen.zoomOut();
    this.#follow.restart();
  }

  /** A display beyond the first is dark until whoever drives asks for a size of it. */
  #connectDisplay(): void {
    if (this.#displayOff && this.#display > 1 && drives(this.#people)) this.#follow.connect();
  }

  #titled(): void {
    const name = this.#guest?.name ?? "";
    document.title = strings.title(this.#display > 1 && name !== "" ? `${name} · ${strings.displays.name(this.#display)}` : name);
  }

  #peopleChanged(people: PeopleMessage | undefined): void {
    const before = drives(this.#people);
    this.#people = people;
    const now = drives(people);
    this.#peopleView.show(people);
    document.documentElement.dataset["driving"] = people === undefined ? "unknown" : String(now);
    if (before === now) return;
    // What was down went up in the guest with the change of hands.
    this.#keyboard.reset();
    this.#pointer.setDriving(now);
    this.#sound.setDriving(now);
    if (now) {
      this.#follow.restart();
      this.#connectDisplay();
    } else {
      this.#clipboard.show(undefined);
      this.#menu?.clipboard(undefined);
    }
    // The button that was pressed by a key is gone.
    if (now && document.activeElement === document.body) this.#focusGuest();
  }

  #connectionChanged(state: ConnectionState): void {
    this.#state = state;
    // While another path is looked for, all that the server has told holds.
    if (state.name !== "connected" && state.name !== "rerouting") {
      this.#recorder.end();
      this.#guest = undefined;
      this.#peopleChanged(undefined);
      window.clearTimeout(this.#pictureTimer);
    }
    this.#refresh();
  }

  #captureChanged(state: Capture): void {
    window.clearTimeout(this.#captureTimer);
    this.#capture = state;
    if (state === "captured") {
      this.#captureTimer = window.setTimeout(() => {
        this.#capture = "none";
        this.#refresh();
      }, CAPTURE_HINT_MS);
    }
    this.#refresh();
  }

  /** Gives the guest the keys; `at` is where it was pressed, for the candidates of an input method. */
  #focusGuest(at?: Point): void {
    if (at !== undefined) this.#text.place(at);
    if (this.#writing) this.#text.focus();
    else this.#screen.focus();
  }

  /** Turns writing with this device's keyboard on or off. */
  #write(): boolean {
    const touch = matchMedia("(pointer: coarse)").matches;
    // A phone's keyboard that its own key has hidden is to come back.
    const hidden = touch && this.#keyboardHeight() < LEAST_KEYBOARD_PX;
    this.#writing = !this.#writing || hidden;
    if (this.#writing) this.#text.root.blur();
    this.#focusGuest();
    return this.#writing;
  }

  #toggleKeys(): boolean {
    const shown = this.#keys?.toggle() === true;
    this.#keyboardMoved();
    return shown;
  }

  #closeMenu(): void {
    if (this.#menu === undefined || this.#menu.root.hidden) return;
    this.#menu.root.hidden = true;
    this.#toolbar.menuClosed();
  }

  #keyboardHeight(): number {
    const seen = window.visualViewport;
    if (seen === null || seen.scale > 1.01) return 0;
    return Math.max(0, window.innerHeight - seen.height - seen.offsetTop);
  }

  /** The phone's keyboard, or the on-screen keys, cover another part of the page. */
  #keyboardMoved(): void {
    document.documentElement.style.setProperty("--keyboard", `${this.#keyboardHeight()}px`);
    const keys = this.#keys?.root;
    const height = keys === undefined || keys.hidden ? 0 : keys.offsetHeight;
    document.documentElement.style.setProperty("--cover", `${height + this.#keyboardHeight()}px`);
    const docked = matchMedia("(pointer: coarse)").matches;
    this.#screen.setCover(docked ? height : 0);
  }

  /** The picture has its place. */
  #placed(): void {
    this.#cursor?.update();
    this.#menu?.zoomed(this.#screen.zoomed);
  }

  async #screenshot(): Promise<void> {
    const blob = await picture(this.#screen);
    if (blob !== undefined) save(blob, fileName(this.#guest?.name ?? "", new Date(), "png"));
  }

  #copy(): void {
    copy(picture(this.#screen)).then(
      () => this.#tell(strings.pictureCopied),
      () => this.#tell(strings.pictureNotCopied),
    );
  }

  /** Says for a while what has just happened. */
  #tell(text: string): void {
    this.#told = text;
    window.clearTimeout(this.#toldTimer);
    this.#toldTimer = window.setTimeout(() => {
      this.#told = "";
      this.#refresh();
    }, TOLD_MS);
    this.#refresh();
  }

  /** Shows the state in words, and as data attributes for styles and tests. */
  #refresh(): void {
    const view = {
      connection: this.#state,
      guest: this.#guest,
      picture: this.#picture,
      overdue: this.#overdue,
      displayOff: this.#displayOff,
      display: this.#display,
      words: this.#words,
      capture: this.#capture,
      told: this.#told,
    };
    const { text, lasting } = stateText(view);
    this.#toolbar.say(text, lasting);
    this.#notice.show(noticeFor(view));
    const { dataset } = document.documentElement;
    dataset["connection"] = this.#state.name;
    dataset["guest"] = this.#guest?.state ?? "unknown";
  }
}

/** Where the browser tells of another network, such as Wi-Fi in place of mobile data. */
function network(): EventTarget | undefined {
  return (navigator as Navigator & { connection?: EventTarget }).connection;
}

applyTheme(storedTheme());
admit().then(() => new Viewer(takeToken(browserHome()) ?? "").start(), (error: unknown) => console.error(error));
