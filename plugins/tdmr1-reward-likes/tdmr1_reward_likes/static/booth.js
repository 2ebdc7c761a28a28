// What both ways of voting share: the talk with the server, and what is told on the page.

export const element = (id) => document.getElementById(id);
const VOTER = encodeURIComponent(document.body.dataset.voter); // another tab may have changed it
const LONGEST = 600; // seconds; a timer of a browser takes 24 days at most
const wait = (seconds) => new Promise((go) => setTimeout(go, seconds * 1000));

// One request; resolves to {ok, status, body}, and rejects where there is no server.
export async function ask(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Voter": VOTER },
    body: JSON.stringify(body),
    keepalive: true,
  });
  const answer = await response.json();
  if (response.status === 401) location.assign("/"); // says what is missing
  return { ok: response.ok, status: response.status, body: answer };
}

// Answers on their way, one after another, each sent until the server has it on disk.
export class Outbox {
  constructor() {
    this.waiting = [];
    addEventListener("beforeunload", (event) => {
      if (this.waiting.length) event.preventDefault();
    });
  }

  // `then` is called with what the server says once it has the answer.
  send(path, body, then) {
    this.waiting.push({ path, body, then });
    if (this.waiting.length === 1) this.work();
  }

  async work() {
    let pause = 0.5;
    while (this.waiting.length) {
      const { path, body, then } = this.waiting[0];
      let answer = null;
      try {
        answer = await ask(path, body);
      } catch {
        notice(`The server cannot be reached. ${this.unsaved()} Trying again …`, "outbox");
      }
      if (answer && answer.status !== 429 && answer.status < 500) {
        this.waiting.shift();
        pause = 0.5;
        clear("outbox");
        if (answer.ok) then(answer.body);
        else notice(answer.body.error);
        continue;
      }
      if (answer) notice(`${answer.body.error} ${this.unsaved()} Trying again …`, "outbox");
      await wait(pause);
      pause = Math.min(pause * 2, 8);
    }
  }

  unsaved() {
    const count = this.waiting.length;
    return count === 1 ? "One answer is not saved yet." : `${count} answers are not saved yet.`;
  }
}

// A sentence that stays until it is cleared by the same owner, or for some seconds.
let owner = null;
let shown = 0;
export function notice(text, of = null) {
  owner = of;
  element("notice").textContent = text;
  element("notice").hidden = false;
  const number = ++shown;
  if (of === null) setTimeout(() => number === shown && (element("notice").hidden = true), 8000);
}
export function clear(of) {
  if (owner === of) element("notice").hidden = true;
}

// For screen readers.
export function tell(text) {
  element("told").textContent = text;
}

export function showProgress({ done, waiting, seconds_left }) {
  const minutes = Math.round(seconds_left / 60);
  let left = "";
  if (seconds_left !== null && waiting)
    left = minutes < 1 ? ", less than a minute left" : `, about ${minutes} minute${minutes === 1 ? "" : "s"} left`;
  element("progress").textContent = `${done} of ${done + waiting}${left}`;
  element("why").textContent = waiting
    ? "Those that are left are on the screens of others. What is not answered there comes back."
    : "New ones appear here by themselves when the training has drawn them.";
  element("bar").max = Math.max(done + waiting, 1);
  element("bar").value = done;
}

// The picture, decoded, so that it appears at once when it is put on the page. Before `isThere`
// there is nothing to judge; `ready` resolves to whether there ever will be.
export function fetched(picture, alt) {
  const image = new Image(picture.width, picture.height);
  image.alt = alt;
  image.draggable = false;
  image.style.setProperty("--ratio", picture.width / picture.height);
  image.src = `/images/${picture.id}.png`;
  const found = { ...picture, image, isThere: false };
  found.ready = image.decode().then(
    () => (found.isThere = true),
    () => false,
  );
  return found;
}

// Keys act unless the voter has switched them off, is writing, or holds another key.
export function keys(actions) {
  const box = element("keys");
  const show = () => document.body.classList.toggle("no-keys", !box.checked);
  box.checked = localStorage.getItem("keys") !== "off";
  show();
  box.addEventListener("change", () => {
    localStorage.setItem("keys", box.checked ? "on" : "off");
    show();
  });
  addEventListener("keydown", (event) => {
    if (!box.checked || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target instanceof HTMLInputElement && event.target.type !== "checkbox") return;
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (action && action() !== false) event.preventDefault();
  });
}

// Asks `lend` for pictures now, again when some are needed, and now and then, so that those on the
// screen stay lent. Not while the page is hidden: a voter who has left gives them back.
export class Supply {
  constructor(lend) {
    this.lend = lend;
    this.busy = false;
    this.again = false;
    document.addEventListener("visibilitychange", () => this.refill());
    this.refill();
  }

  async refill() {
    if (document.hidden) return;
    if (this.busy) {
      this.again = true;
      return;
    }
    this.busy = true;
    clearTimeout(this.timer);
    let next = 2;
    try {
      next = await this.lend();
      clear("supply");
    } catch {
      notice("The server cannot be reached. Trying again …", "supply");
    }
    this.busy = false;
    if (this.again) {
      this.again = false;
      this.refill();
    } else this.timer = setTimeout(() => this.refill(), Math.min(next, LONGEST) * 1000);
  }
}
