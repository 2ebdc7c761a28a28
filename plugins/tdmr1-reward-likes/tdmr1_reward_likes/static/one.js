// One picture after another. The next ones are fetched ahead, so that a vote shows the next at once.
import { Outbox, Supply, ask, element, fetched, keys, notice, showProgress, tell } from "./booth.js";

const AHEAD = 5;
const card = element("card");
const buttons = { like: element("like"), dislike: element("dislike"), skip: element("skip") };
const LIKED = { like: true, dislike: false, skip: null };
const DONE = { like: "Liked", dislike: "Disliked", skip: "Skipped" };

const outbox = new Outbox();
const answered = new Set(); // what an older answer of the server may still take for unanswered
let queue = []; // lent pictures; the first is on the screen
let current = null;
let undone = 0;
let progress = { done: 0, waiting: 0, seconds_left: null };

function show(said = "") {
  const next = queue[0] ?? null;
  if (next && next.id === current) return;
  current = next && next.id;
  card.hidden = !next;
  element("empty").hidden = Boolean(next);
  enable();
  if (next) {
    element("frame").replaceChildren(next.image);
    element("prompt").textContent = next.prompt;
    next.ready.then((there) => {
      if (queue[0] !== next) return;
      if (there) return enable();
      notice("A picture could not be loaded and was left out.");
      queue.shift();
      show();
      setTimeout(() => supply.refill(), 2000);
    });
  }
  tell(`${said} ${next ? `Picture ${progress.done + 1}, for: ${next.prompt}` : "No picture is waiting."}`.trim());
}

// Who has not seen a picture yet can only skip it.
function isOpen(what) {
  return queue.length > 0 && (what === "skip" || queue[0].isThere);
}

function enable() {
  for (const [what, button] of Object.entries(buttons))
    button.setAttribute("aria-disabled", String(!isOpen(what)));
}

function answer(what) {
  if (!isOpen(what)) return;
  const picture = queue.shift();
  answered.add(picture.id);
  progress = { ...progress, done: progress.done + 1, waiting: Math.max(progress.waiting - 1, 0) };
  showProgress(progress);
  show(`${DONE[what]}.`);
  outbox.send("/api/vote", { answers: { [picture.id]: LIKED[what] } }, (told) => {
    for (const why of Object.values(told.refused)) notice(`Not counted: ${why}.`);
    counted(told.progress);
  });
  if (queue.length < AHEAD - 1) supply.refill();
}

function undo() {
  outbox.send("/api/undo", {}, ({ pictures, progress: now }) => {
    if (!pictures.length) return notice("There is nothing left to undo.");
    const ids = new Set(pictures.map((picture) => picture.id));
    const back = pictures.map((picture) => fetched(picture, "The picture to judge"));
    queue = [...back, ...queue.filter((picture) => !ids.has(picture.id))];
    for (const id of ids) answered.delete(id);
    undone += 1;
    counted(now);
    current = null;
    show("Taken back.");
  });
}

function counted(now) {
  if (outbox.waiting.length) return; // it does not know of those yet
  progress = now;
  showProgress(progress);
}

const supply = new Supply(async () => {
  const before = undone;
  // Those whose answers are on their way are lent as long as these have not come.
  const { ok, body } = await ask("/api/lend", { count: AHEAD + outbox.waiting.length });
  if (!ok) {
    notice(body.error, "supply");
    return 5;
  }
  if (undone !== before) return 0; // it does not know of that
  const have = new Set(queue.map((picture) => picture.id));
  const lent = new Set(body.pictures.map((picture) => picture.id));
  const fresh = body.pictures.filter(({ id }) => !have.has(id) && !answered.has(id));
  // What is no longer lent has gone to somebody else.
  queue = queue.filter(({ id }) => lent.has(id));
  queue.push(...fresh.map((picture) => fetched(picture, "The picture to judge")));
  counted(body.progress);
  show();
  return queue.length ? body.lease / 3 : 3;
});

// Swiping: right likes, left dislikes.
let from = null;
function lean(x) {
  const far = Math.abs(x) > Math.min(card.clientWidth / 4, 110);
  card.classList.toggle("leans-yes", far && x > 0);
  card.classList.toggle("leans-no", far && x < 0);
  card.style.transform = x ? `translateX(${x}px) rotate(${x / 40}deg)` : "";
  return far;
}
card.addEventListener("pointerdown", (event) => {
  if (!event.isPrimary || event.button !== 0) return;
  from = event.clientX;
  card.classList.remove("back");
  card.setPointerCapture(event.pointerId);
});
card.addEventListener("pointermove", (event) => {
  if (from !== null && event.isPrimary) lean(event.clientX - from);
});
for (const end of ["pointerup", "pointercancel"])
  card.addEventListener(end, (event) => {
    if (from === null || !event.isPrimary) return;
    const x = event.clientX - from;
    from = null;
    const far = end === "pointerup" && lean(x);
    card.classList.add("back");
    lean(0);
    if (far) answer(x > 0 ? "like" : "dislike");
  });

for (const [what, button] of Object.entries(buttons)) button.addEventListener("click", () => answer(what));
element("undo").addEventListener("click", undo);
keys({
  ArrowRight: () => answer("like"),
  ArrowLeft: () => answer("dislike"),
  s: () => answer("skip"),
  u: undo,
});
