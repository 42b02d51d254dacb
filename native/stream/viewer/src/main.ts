/** Puts the page together: one screen, one connection, and the controls around them. */
import { Connection } from "./connection.ts";
import type { ConnectionState } from "./connection.ts";
import { CursorView } from "./cursor.ts";
import { Follow } from "./follow.ts";
import { KeyMenu } from "./keymenu.ts";
import { Keyboard } from "./keyboard.ts";
import type { ServerMessage, StatusMessage } from "./messages.ts";
import { NoticeCard } from "./notice.ts";
import { admit } from "./pair.ts";
import { Pointer } from "./pointer.ts";
import { Screen } from "./screen.ts";
import { StatsPanel } from "./stats.ts";
import { strings } from "./strings.ts";
import { browserHome, takeToken, tokenIn } from "./token.ts";
import { Toolbar } from "./toolbar.ts";
import { noticeFor, stateText } from "./view.ts";
import type { Capture } from "./view.ts";

/** The hint how to get the pointer back goes away by itself. */
const CAPTURE_HINT_MS = 3000;

class Viewer {
  #state: ConnectionState = { name: "connecting" };
  #guest: StatusMessage | undefined;
  #picture = false;
  #displayOff = false;
  #words = "";
  #capture: Capture = "none";
  #captureTimer: number | undefined;

  readonly #connection: Connection;
  readonly #screen = new Screen(() => this.#cursor?.update());
  readonly #cursor: CursorView | undefined;
  readonly #keyboard: Keyboard;
  readonly #pointer: Pointer;
  readonly #follow: Follow;
  readonly #stats: StatsPanel;
  readonly #menu: KeyMenu;
  readonly #toolbar: Toolbar;
  readonly #notice = new NoticeCard(() => this.#connection.start());

  constructor(token: string) {
    const connection = new Connection(token, {
      state: (state) => this.#connectionChanged(state),
      open: () => this.#opened(),
      message: (message) => this.#receive(message),
      stream: (stream) => this.#screen.show(stream),
    });
    this.#connection = connection;
    this.#cursor = new CursorView(this.#screen);
    this.#keyboard = new Keyboard(this.#screen.surface, {
      send: (message) => {
        if (message.t === "release") {
          this.#pointer.released();
          this.#menu.released();
        }
        connection.sendKeys(message);
      },
      leave: () => this.#toolbar.focus(),
    });
    this.#pointer = new Pointer(this.#screen, {
      sendKeys: (message) => connection.sendKeys(message),
      sendMotion: (message) => connection.sendMotion(message),
      leading: (leading) => this.#cursor?.setLeading(leading),
      capture: (state) => this.#captureChanged(state),
    });
    this.#follow = new Follow(
      () => this.#screen.stageSize(),
      (message) => connection.sendKeys(message),
    );
    this.#stats = new StatsPanel(() => connection.peer);
    this.#menu = new KeyMenu(this.#keyboard, () => this.#screen.focus());
    this.#toolbar = new Toolbar(
      {
        keys: () => this.#menu.toggle(),
        follow: () => {
          this.#follow.toggle();
          return this.#follow.enabled;
        },
        stats: () => this.#stats.toggle(),
        leaveToolbar: () => this.#screen.focus(),
      },
      this.#follow.enabled,
    );
    this.#toolbar.root.append(this.#menu.root);
    document.body.append(this.#toolbar.root, this.#screen.stage, this.#notice.root, this.#stats.root);
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
    this.#screen.video.addEventListener("loadeddata", () => {
      this.#picture = true;
      this.#refresh();
    });
    window.addEventListener("online", () => this.#connection.hurry());
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
      this.#connection.hurry();
      this.#follow.now();
    });
  }

  #opened(): void {
    this.#keyboard.reset();
    this.#pointer.reset();
    this.#cursor?.reset();
    this.#words = "";
    this.#follow.restart();
  }

  #receive(message: ServerMessage): void {
    switch (message.t) {
      case "status":
        this.#guest = message;
        this.#pointer.setGuest(message.absolute, message.touch);
        document.title = strings.title(message.name);
        this.#refresh();
        break;
      case "size":
        this.#screen.setGuestSize(message);
        this.#displayOff = message.w === 0;
        this.#refresh();
        break;
      case "notice":
        this.#words = message.text;
        this.#refresh();
        break;
      case "cursor":
        this.#cursor?.setShape(message);
        break;
      case "cursorpos":
        this.#cursor?.setPosition(message);
        break;
    }
  }

  #connectionChanged(state: ConnectionState): void {
    this.#state = state;
    if (state.name !== "connected") this.#guest = undefined;
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

  /** Shows the state in words, and as data attributes for styles and tests. */
  #refresh(): void {
    const view = {
      connection: this.#state,
      guest: this.#guest,
      picture: this.#picture,
      displayOff: this.#displayOff,
      words: this.#words,
      capture: this.#capture,
    };
    const { text, lasting } = stateText(view);
    this.#toolbar.say(text, lasting);
    this.#notice.show(noticeFor(view));
    const { dataset } = document.documentElement;
    dataset["connection"] = this.#state.name;
    dataset["guest"] = this.#guest?.state ?? "unknown";
  }
}

admit().then(() => new Viewer(takeToken(browserHome()) ?? "").start(), (error: unknown) => console.error(error));
