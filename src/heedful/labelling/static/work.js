// Keeps what a labeller does: in this browser at once, on the server shortly after, and
// sends it however long the network or the server is away. Shared by every task page.

const SAVE_AFTER = 900; // ms after the last change
const HEARTBEAT = 30_000;
const IDLE_AFTER = 60_000; // no key, pointer or scroll for so long: time stops counting
const LET_GO_AFTER = 15 * 60_000; // ... and for so long: the task may go to somebody else
const WAITS = [1, 2, 4, 8, 15, 30]; // seconds between attempts
const TAB = (() => {
  const known = performance.getEntriesByType("navigation")[0]?.type === "reload";
  const id = (known && sessionStorage.getItem("heedful:tab")) || crypto.getRandomValues(new Uint32Array(2)).join("-");
  sessionStorage.setItem("heedful:tab", id);
  return id;
})();

export class Unreachable extends Error {}
export class SignedOut extends Error {}

// A POST of JSON. Resolves to {status, data}; throws where trying again later makes sense.
async function send(url, payload, csrf, keepalive = false) {
  let response;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": csrf },
      body: JSON.stringify(payload),
      redirect: "manual",
      keepalive,
      signal: AbortSignal.timeout(20_000),
    });
  } catch {
    throw new Unreachable("The server cannot be reached");
  }
  if (response.type === "opaqueredirect" || response.status === 401) throw new SignedOut();
  const data = await response.json().catch(() => ({}));
  if (response.status >= 500 || response.status === 429) {
    throw new Unreachable(said(data) || "The server has trouble");
  }
  return { status: response.status, data };
}

// What an error of the server says, and what to do about it.
const said = (data) => [data?.detail ?? data?.error, data?.hint].filter(Boolean).join(" ");

// Reading and writing localStorage, which may be full or forbidden.
const local = {
  get(key) {
    try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
  },
  set(key, value) {
    try { localStorage.setItem(key, JSON.stringify(value)); return true; } catch { return false; }
  },
  remove(key) {
    try { localStorage.removeItem(key); } catch { /* nothing was kept there */ }
  },
};

export class Keeper {
  // task: {item, account, csrf, token, revision, body, active_seconds, urls, submitted}
  // page: {read() -> body, show(body, why), same(a, b), choose(theirs) -> Promise<"mine"|"theirs">}
  constructor(task, page, status) {
    Object.assign(this, { task, page, status });
    this.draftKey = `heedful:draft:${task.account}:${task.item}`;
    this.outKey = `heedful:outbox:${task.account}:${task.item}`;
    this.revision = task.revision ?? 0;
    this.active = 0; // seconds of this page
    this.told = 0; // of them, known to the server
    this.lastInput = Date.now();
    this.failures = 0;
    this.dirty = false;
    this.done = false;
  }

  // Begin with whichever of the server's and the browser's version is newer.
  async start() {
    const kept = local.get(this.draftKey);
    if (kept?.dirty && !this.page.same(kept.body, this.task.body)) {
      this.page.show(kept.body, "browser");
      this.dirty = true;
      if (kept.base === this.revision) {
        this.status.note("Restored from this browser: newer than what the server had.");
      } else await this.#conflict(this.task.body, this.revision);
      this.changed();
    } else if (this.task.body) {
      this.page.show(this.task.body, "server");
      this.status.note("Restored where you left off.");
    }
    this.#watch();
    this.#meetOtherTabs();
    const waiting = local.get(this.outKey);
    if (waiting) this.#deliver(waiting.payload);
  }

  // Something changed: keep it here now, on the server soon.
  changed() {
    if (this.done) return;
    this.dirty = true;
    this.#keepHere();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#save(), SAVE_AFTER);
  }

  get seconds() {
    return (this.task.active_seconds ?? 0) + this.active;
  }

  // Send the finished work; resolves when the server has it, rejects where it refuses it.
  submit(answer) {
    // A copy: what is sent again must be the same, or it would be another answer.
    const payload = structuredClone({ token: this.task.token, seconds_spent: Math.round(this.seconds * 10) / 10, answer });
    local.set(this.outKey, { url: this.task.urls.submit, payload, at: Date.now() });
    return this.#deliver(payload);
  }

  // Stop trying to send, and go on working.
  withdraw() {
    local.remove(this.outKey);
    this.sending = null;
    this.status.clear();
  }

  #keepHere() {
    const body = this.page.read();
    const kept = local.get(this.draftKey);
    if (kept?.dirty && kept.tab !== TAB && !this.page.same(kept.body, body) && kept.base >= this.revision) {
      // Another tab has work that the server has not seen: never write over it.
      if (!this.choosing) this.#conflict(kept.body, Math.max(this.revision, kept.base)).then(() => this.changed());
      return;
    }
    const fits = local.set(this.draftKey, { body, base: this.revision, dirty: this.dirty, at: Date.now(), tab: TAB });
    if (!fits && !this.warned) {
      this.warned = true;
      this.status.warn("This browser does not let pages keep anything; your work is saved on the server only.");
    }
  }

  async #save(keepalive = false) {
    if (this.saving || this.choosing || this.sending || this.done || !this.dirty) return;
    const body = this.page.read();
    let refused = false;
    this.saving = true;
    this.status.saving();
    try {
      const { status, data } = await this.#post(this.task.urls.draft, { body, base_revision: this.revision }, keepalive);
      if (status === 200) this.#saved(data.revision, body);
      else if (status === 409) {
        // Our own save whose answer got lost is no conflict.
        if (this.page.same(data.body, body) || (this.lastSent && this.page.same(data.body, this.lastSent))) this.#saved(data.revision, data.body);
        else await this.#conflict(data.body, data.revision);
      } else if (status === 410) this.#wasSent();
      else {
        refused = true; // the same again would be refused again; the next change is another
        this.status.warn(`The server did not take the draft: ${said(data)} It is kept in this browser.`);
      }
      this.failures = 0;
    } catch (problem) {
      this.#trouble(problem, "Your work is kept in this browser.", () => this.#save());
    } finally {
      this.lastSent = body;
      this.saving = false;
    }
    if (this.dirty && !this.done && !refused && this.failures === 0) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.#save(), SAVE_AFTER);
    }
  }

  #saved(revision, body) {
    this.revision = revision;
    this.dirty = !this.page.same(this.page.read(), body);
    this.#keepHere();
    this.status.saved();
  }

  async #conflict(theirs, revision) {
    if (!theirs || !Object.keys(theirs).length || this.page.same(theirs, this.page.read())) {
      this.revision = revision;
      return;
    }
    this.choosing = true;
    const choice = await this.page.choose(theirs);
    this.revision = revision;
    local.remove(this.draftKey); // decided; what is chosen is written next
    if (choice === "theirs") this.page.show(theirs, "other");
    this.choosing = false;
    this.dirty = true;
    this.#keepHere();
  }

  #wasSent() {
    this.done = true;
    local.remove(this.draftKey);
    local.remove(this.outKey);
    this.status.warn("This task was already sent, from another tab or device.", { label: "Go on to the next", go: () => this.next() });
  }

  async #deliver(payload) {
    this.sending = payload;
    clearTimeout(this.timer);
    for (let attempt = 0; this.sending === payload; attempt += 1) {
      try {
        this.status.sending();
        const { status, data } = await this.#post(this.task.urls.submit, payload);
        if (status === 200) {
          this.done = true;
          local.remove(this.outKey);
          local.remove(this.draftKey);
          this.status.clear();
          return data;
        }
        this.withdraw();
        this.status.warn(`Not sent: ${said(data) || `the server answered ${status}.`}`);
        return null;
      } catch (problem) {
        const wait = WAITS[Math.min(attempt, WAITS.length - 1)];
        if (problem instanceof SignedOut) await this.#signedOut("Not sent yet.");
        else {
          this.status.offline(`Not sent yet: ${problem.message}. It is kept in this browser and goes out by itself; trying again in ${wait} s.`, () => this.withdraw());
          await this.#pause(wait);
        }
      }
    }
    return null;
  }

  // Post, with a fresh CSRF token where the session changed meanwhile.
  async #post(url, payload, keepalive = false) {
    const first = await send(url, payload, this.task.csrf, keepalive);
    if (first.status !== 403 || keepalive) return first;
    await this.#session();
    return send(url, payload, this.task.csrf);
  }

  async #session() {
    let response;
    try {
      response = await fetch(this.task.urls.session, { headers: { Accept: "application/json" }, redirect: "manual", cache: "no-store" });
    } catch {
      throw new Unreachable("The server cannot be reached");
    }
    if (response.type === "opaqueredirect" || !response.ok) throw new SignedOut();
    const session = await response.json();
    if (session.account !== this.task.account) throw new SignedOut("another account");
    this.task.csrf = session.csrf;
    for (const field of document.querySelectorAll('input[name="csrf_token"]')) field.value = session.csrf;
  }

  // Wait until somebody has signed in again, in whichever tab.
  async #signedOut(what) {
    for (;;) {
      this.status.signedOut(`${what} Your session has ended. Sign in again in another tab, then come back: nothing is lost.`);
      await this.#pause(5);
      try {
        await this.#session();
        this.status.note("Signed in again.");
        return;
      } catch (problem) {
        if (problem instanceof Unreachable) this.status.offline(`${what} ${problem.message}.`);
      }
    }
  }

  #trouble(problem, what, again) {
    this.failures += 1;
    if (problem instanceof SignedOut) {
      this.#signedOut(what).then(() => { this.failures = 0; again(); });
      return;
    }
    const wait = WAITS[Math.min(this.failures - 1, WAITS.length - 1)];
    this.status.offline(`${problem.message}. ${what} Trying again in ${wait} s.`);
    this.#pause(wait).then(again);
  }

  // So many seconds, or until the network or the tab comes back.
  #pause(seconds) {
    return new Promise((resolve) => {
      const go = () => {
        clearTimeout(timer);
        removeEventListener("online", go);
        removeEventListener("focus", go);
        resolve();
      };
      const timer = setTimeout(go, seconds * 1000);
      addEventListener("online", go);
      addEventListener("focus", go);
    });
  }

  // A question is sent without leaving the page; what else is typed stays.
  #questions() {
    for (const form of document.querySelectorAll("form[data-question]")) {
      form.addEventListener("submit", async (event) => {
        event.preventDefault();
        const area = form.querySelector("textarea");
        try {
          const { status, data } = await this.#post(form.getAttribute("action"), { text: area.value });
          if (status !== 200) throw new Unreachable(said(data));
          area.value = "";
          form.closest("details").open = false;
          this.status.note(data.said);
        } catch (problem) {
          this.status.warn(`The question was not sent: ${problem.message || "your session has ended"}. Send it again later; it stays here.`);
        }
      });
    }
    for (const form of document.querySelectorAll("form[data-skip]")) {
      form.addEventListener("submit", () => {
        this.done = true; // nothing of it is to be kept
        local.remove(this.draftKey);
      });
    }
  }

  #watch() {
    this.#questions();
    for (const kind of ["keydown", "pointerdown", "pointermove", "wheel", "scroll", "touchstart"]) {
      addEventListener(kind, () => { this.lastInput = Date.now(); }, { passive: true, capture: true });
    }
    let before = Date.now();
    setInterval(() => {
      const now = Date.now();
      // A machine that slept has not been worked at.
      const passed = Math.min(2, (now - before) / 1000);
      before = now;
      if (document.visibilityState === "visible" && now - this.lastInput < IDLE_AFTER) {
        this.active += passed;
        this.page.spent?.(passed);
      }
    }, 1000);
    setInterval(() => this.#beat(), HEARTBEAT);
    addEventListener("online", () => this.#save());
    addEventListener("pagehide", () => {
      if (!this.done && !this.choosing) {
        this.#keepHere();
        this.#save(true);
      }
    });
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden" && !this.choosing && !this.done) this.#save();
    });
  }

  async #beat() {
    if (this.done || this.sending || Date.now() - this.lastInput > LET_GO_AFTER) return;
    const upTo = this.active;
    const payload = { token: this.task.token, active_seconds: Math.round((upTo - this.told) * 10) / 10 };
    try {
      const { status, data } = await this.#post(this.task.urls.heartbeat, payload);
      if (status === 200) this.told = upTo;
      else if (status === 409 && !this.leaseLost) {
        this.leaseLost = true;
        this.status.warn(`${said(data)} You can go on: what you send is kept.`);
      } else if (status === 410) this.#wasSent();
      else if (status === 403) this.status.warn(said(data));
    } catch (problem) {
      if (problem instanceof SignedOut && !this.failures) this.#trouble(problem, "Your work is kept in this browser.", () => this.#save());
    }
  }

  #meetOtherTabs() {
    if (!("BroadcastChannel" in window)) return;
    this.channel = new BroadcastChannel(this.draftKey);
    this.channel.onmessage = ({ data }) => {
      this.status.warn("This task is open in another tab too. Work in one of them; if both change, you will be asked which to keep.");
      if (data === "hello") this.channel.postMessage("also here");
    };
    this.channel.postMessage("hello");
  }

  next() {
    document.getElementById("next-form").requestSubmit();
  }
}

// The line that says whether all is safe, and the banner for what is not.
export class Status {
  constructor(line, banner) {
    Object.assign(this, { line, banner });
  }

  note(text) { this.line.textContent = text; }
  saving() { this.line.textContent = "Saving …"; }
  sending() { this.line.textContent = "Sending …"; }

  saved() {
    const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    this.line.textContent = `Saved ${time}`;
    if (this.banner.dataset.kind === "offline") this.clear();
  }

  clear() {
    this.banner.replaceChildren();
    this.banner.hidden = true;
    delete this.banner.dataset.kind;
  }

  warn(text, action) { this.#show("warn", text, action); }

  offline(text, withdraw) {
    this.line.textContent = "Kept in this browser";
    this.#show("offline", text, withdraw && { label: "Do not send, go on working", go: withdraw });
  }

  signedOut(text) {
    this.line.textContent = "Kept in this browser";
    this.#show("offline", text, { label: "Sign in (new tab)", href: "/login" });
  }

  #show(kind, text, action) {
    const said = document.createElement("p");
    said.textContent = text;
    this.banner.replaceChildren(said);
    this.banner.dataset.kind = kind;
    this.banner.hidden = false;
    if (action?.href) {
      const link = Object.assign(document.createElement("a"), { href: action.href, target: "_blank", rel: "noopener", textContent: action.label });
      this.banner.append(link);
    } else if (action) {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "button", textContent: action.label });
      button.addEventListener("click", action.go);
      this.banner.append(button);
    }
    if (kind === "warn") {
      const close = Object.assign(document.createElement("button"), { type: "button", className: "button quiet", textContent: "Close" });
      close.addEventListener("click", () => this.clear());
      this.banner.append(close);
    }
  }
}

// What a page left unsent goes out from whichever work page is opened next.
export async function flushOutbox({ account, csrf }, line) {
  const prefix = `heedful:outbox:${account}:`;
  const keys = Object.keys(localStorage).filter((key) => key.startsWith(prefix));
  for (const key of keys) {
    const waiting = local.get(key);
    if (!waiting) continue;
    const item = key.slice(prefix.length);
    try {
      const { status, data } = await send(waiting.url, waiting.payload, csrf);
      if (status === 200) {
        local.remove(key);
        local.remove(`heedful:draft:${account}:${item}`);
        line.textContent = "Work that was waiting in this browser has been sent.";
      } else line.textContent = `Work waiting in this browser was not taken: ${said(data)}`;
    } catch {
      line.textContent = "Work is waiting in this browser and goes out when the server can be reached.";
      setTimeout(() => flushOutbox({ account, csrf }, line), 15_000);
      return;
    }
    line.hidden = false;
  }
}

const home = document.querySelector("[data-outbox]");
if (home) flushOutbox(home.dataset, home.querySelector("[role=status]"));
