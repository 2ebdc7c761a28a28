// A group in a grid: those that are tapped are liked, and the rest disliked when the voter says done.
import { Outbox, Supply, ask, clear, element, fetched, keys, notice, showProgress, tell } from "./booth.js";

const AHEAD = 2;
const SEEN = 400; // milliseconds: who is done sooner has pressed twice, and seen nothing
const grid = element("grid");
const outbox = new Outbox();
const answered = new Set(); // what an older answer of the server may still take for unanswered
let groups = []; // lent groups; the first is on the screen
let current = null;
let undone = 0;
let isNew = false; // the one on the screen
let shown = 0; // how many have been there

// What lies below the screen cannot have been judged.
const unseen = new Set();
const watch = new IntersectionObserver(
  (changes) => {
    for (const change of changes) if (change.isIntersecting) unseen.delete(change.target);
  },
  { threshold: 0.5, rootMargin: "0px 0px -70px 0px" }, // without the bar of answers
);

const key = (group) => group.map((picture) => picture.id).join();
const tiles = () => [...grid.children];
const isLiked = (tile) => tile.getAttribute("aria-pressed") === "true";

function tile(picture, number) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.id = picture.id;
  button.setAttribute("aria-pressed", "false");
  const mark = document.createElement("span");
  mark.textContent = "liked";
  mark.setAttribute("aria-hidden", "true");
  picture.image.alt = `Picture ${number + 1}`;
  button.append(picture.image, mark);
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(!isLiked(button)));
    count();
  });
  return button;
}

function count() {
  const liked = tiles().filter(isLiked).length;
  element("count").textContent = liked ? `like ${liked} of ${tiles().length}` : "like none";
}

function show(said = "") {
  const next = groups[0] ?? null;
  if (next && key(next) === current) return;
  const before = new Map(tiles().map((button) => [button.dataset.id, isLiked(button)]));
  const isInside = grid.contains(document.activeElement);
  current = next && key(next);
  watch.disconnect();
  unseen.clear();
  const mine = ++shown;
  isNew = true;
  setTimeout(() => {
    if (mine !== shown) return;
    isNew = false;
    enable();
  }, SEEN);
  element("card").hidden = !next;
  element("empty").hidden = Boolean(next);
  if (next) {
    element("prompt").textContent = next[0].prompt;
    grid.replaceChildren(...next.map(tile));
    // Where some have gone to somebody else, what was tapped of the others stays.
    for (const button of tiles()) if (before.get(button.dataset.id)) button.click();
    if (isInside) tiles()[0].focus();
    for (const button of tiles()) {
      unseen.add(button);
      watch.observe(button);
    }
    for (const picture of next)
      picture.ready.then((there) => {
        enable();
        if (!there && mine === shown)
          notice("A picture could not be loaded. Skip them all, or load the page again.");
      });
  } else grid.replaceChildren();
  count();
  enable();
  tell(`${said} ${next ? `${next.length} pictures for: ${next[0].prompt}` : "No picture is waiting."}`.trim());
}

// Who has not seen all pictures yet can only skip them.
function isOpen(what) {
  return groups.length > 0 && !isNew && (what === "skip" || groups[0].every((of) => of.isThere));
}

function enable() {
  for (const what of ["skip", "done"])
    element(what).setAttribute("aria-disabled", String(!isOpen(what)));
}

function answer(what, liked, said) {
  if (!isOpen(what)) return;
  groups.shift();
  const answers = Object.fromEntries(tiles().map((button) => [button.dataset.id, liked(button)]));
  for (const id of Object.keys(answers)) answered.add(id);
  show(said);
  outbox.send("/api/vote", { answers }, (told) => {
    const refused = Object.values(told.refused);
    if (refused.length) notice(`${refused.length} not counted: ${refused[0]}.`);
    if (!outbox.waiting.length) showProgress(told.progress);
    supply.refill();
  });
}

function done() {
  const [below] = unseen;
  if (isOpen("done") && below) {
    below.scrollIntoView({ block: "center" });
    notice(`${unseen.size} more to look at before you are done.`, "unseen");
    return;
  }
  clear("unseen");
  answer("done", isLiked, "Done.");
}

function skip() {
  answer("skip", () => null, "Skipped.");
}

function undo() {
  outbox.send("/api/undo", {}, ({ pictures, progress }) => {
    if (!pictures.length) return notice("There is nothing left to undo.");
    for (const { id } of pictures) answered.delete(id);
    undone += 1;
    groups.unshift(pictures.map((picture) => fetched(picture, "")));
    showProgress(progress);
    show("Taken back.");
  });
}

const supply = new Supply(async () => {
  const before = undone;
  // Those whose answers are on their way are lent as long as these have not come.
  const { ok, body } = await ask("/api/lend", { count: AHEAD + outbox.waiting.length, groups: true });
  if (!ok) {
    notice(body.error, "supply");
    return 5;
  }
  if (undone !== before) return 0; // it does not know of that
  const have = new Map(groups.flat().map((picture) => [picture.id, picture]));
  groups = body.groups
    .map((group) => group.filter(({ id }) => !answered.has(id)))
    .filter((group) => group.length)
    .map((group) => group.map((picture) => have.get(picture.id) ?? fetched(picture, "")));
  // The one on the screen stays there.
  const onScreen = new Set(tiles().map((button) => button.dataset.id));
  groups.sort((a, b) => onScreen.has(b[0].id) - onScreen.has(a[0].id));
  if (!outbox.waiting.length) showProgress(body.progress);
  show();
  return groups.length ? body.lease / 3 : 3;
});

function move(step) {
  const at = tiles().indexOf(document.activeElement);
  if (at < 0) return false;
  tiles()[(at + step + tiles().length) % tiles().length].focus();
}

element("done").addEventListener("click", done);
element("skip").addEventListener("click", skip);
element("undo").addEventListener("click", undo);
keys({
  d: done,
  s: skip,
  u: undo,
  ArrowRight: () => move(1),
  ArrowLeft: () => move(-1),
});
