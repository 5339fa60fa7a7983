// The ranking board: rate one output at full width, then rank all in columns. This module
// turns keys, clicks, touches and drags into commands of board_model.js and draws the result.

import { openCompare, chooseVersion, openHelp, Reader, versionInWords } from "./board_dialogs.js";
import { makeDraggable } from "./board_drag.js";
import { Board, readAnswer, sameAnswer } from "./board_model.js";
import { card, columns, earlier, h, placePanel, RatePanel, steps, strip, words } from "./board_parts.js";
import { Keeper, Status } from "./work.js";

const task = JSON.parse(document.getElementById("board-data").textContent);
const root = document.getElementById("board");
const stage = document.getElementById("stage");
const reading = document.getElementById("reading");
const panel = document.getElementById("panel");
const sending = document.getElementById("sending");
const promptBox = document.getElementById("prompt-box");
const isNarrow = matchMedia("(max-width: 43.99rem)");
const said = document.getElementById("said");
const { cards, flags, keys } = task;

const clean = (body) => readAnswer(body, cards, flags);
const board = new Board({ cards, flags, answer: clean(null), ratingsRequired: task.ratings_required });
const at = { phase: task.ratings_required ? "rate" : "rank", letter: cards[0].letter, whole: false };
const cardOf = (letter) => cards.find((known) => known.letter === letter);
const rateButtons = new RatePanel(board, (name) => (task.shortcuts_on ? keys[name] : null), (change) => tell(change(at.letter)));
let reader = null;
let comparing = null;
let helping = null;

const keeper = new Keeper(task, {
  read: () => ({ ...board.answer, at: { phase: at.phase, letter: at.letter } }),
  same: (one, other) => sameAnswer(clean(one), clean(other)),
  show(body, from) {
    if (from === "other") board.replace(clean(body), "taking the other version");
    else board.answer = clean(body);
    if (["rate", "rank"].includes(body.at?.phase)) at.phase = body.at.phase;
    if (cardOf(body.at?.letter)) at.letter = body.at.letter;
    draw();
  },
  choose: (theirs) => chooseVersion(versionInWords(board.answer, board.letters), versionInWords(clean(theirs), board.letters)),
  spent(seconds) {
    const where = at.phase === "rank" ? "ranking" : at.letter;
    board.answer.seconds[where] = Math.round(((board.answer.seconds[where] ?? 0) + seconds) * 10) / 10;
  },
}, new Status(document.getElementById("saved"), document.getElementById("banner")));

// Say what happened, keep it, draw it. `null` means that nothing did.
function tell(message, changed = true) {
  if (message === null || message === undefined) return;
  said.textContent = message;
  if (reader) reader.show(at.letter, message);
  if (changed) keeper.changed();
  draw();
}

const placed = (letter) => {
  const quality = board.answer.quality[letter];
  const rank = board.answer.ranks[letter];
  return [quality ? `rated ${quality} of 7` : "not rated", rank ? `rank ${rank}` : at.phase === "rank" ? "in the tray" : null].filter(Boolean).join(", ");
};

function choose(letter, { focus = true } = {}) {
  const follows = document.activeElement?.dataset?.key?.startsWith("strip-");
  at.letter = letter;
  at.whole = false;
  said.textContent = `Output ${letter}: ${placed(letter)}.`;
  if (reader) reader.show(letter, placed(letter));
  draw();
  if (at.phase === "rank" && focus && !reader) focusOn(`card-${letter}`);
  if (follows) focusOn(`strip-${letter}`);
  if (at.phase === "rate" && !reader) showStart();
}

// After moving on, the new output begins at the top of the window.
function showStart() {
  if (isNarrow.matches) promptBox.open = false; // read once; its title opens it again
  const top = reading.getBoundingClientRect().top;
  if (top < 0 || top > innerHeight * 0.6) reading.scrollIntoView({ block: "start" });
}

function step(by) {
  const place = board.letters.indexOf(at.letter) + by;
  if (at.phase === "rate" && place >= board.letters.length && !reader) goTo("rank");
  else if (board.letters[place]) choose(board.letters[place]);
}

function goTo(phase) {
  if (at.phase === phase) return;
  at.phase = phase;
  at.whole = false;
  if (isNarrow.matches) promptBox.open = false;
  if (phase === "rank" && board.tray.length) at.letter = board.tray[0];
  said.textContent = phase === "rank"
    ? `Ranking. ${board.tray.length} in the tray. A letter chooses, a digit places.`
    : `Rating output ${at.letter}: ${placed(at.letter)}.`;
  draw();
  scrollTo(0, Math.min(scrollY, (isNarrow.matches ? stage : root).getBoundingClientRect().top + scrollY - 8));
  focusOn(phase === "rank" ? `card-${at.letter}` : `strip-${at.letter}`);
}

function place(rank, letters = at.whole ? board.tray : [at.letter]) {
  at.whole = false;
  tell(board.place(letters, rank));
  if (!reader) focusOn(`card-${at.letter}`);
}

function compare(letter) {
  const others = board.letters.filter((other) => other !== at.letter);
  const next = board.letters[board.letters.indexOf(at.letter) + 1];
  const right = letter && letter !== at.letter ? letter : next ?? others[0];
  reader?.dialog.close();
  comparing = openCompare({ cards, left: at.letter, right, onClose: () => { comparing = null; focusOn(`card-${at.letter}`); } });
}

function read() {
  reader = new Reader({ cardOf, step, keys: task.shortcuts_on ? keys : {}, onClose: () => { reader = null; draw(); focusOn(`card-${at.letter}`); } });
  reader.show(at.letter, placed(at.letter));
}

function help() {
  if (helping) helping.close();
  else helping = openHelp({ actions: task.actions, keys, on: task.shortcuts_on, numCards: cards.length, settingsUrl: task.urls.preferences, onClose: () => { helping = null; } });
}

function wholeTray() {
  if (at.phase !== "rank" || !board.tray.length) return;
  at.whole = true;
  said.textContent = `The whole tray is chosen: ${board.tray.join(", ")}. A digit places all of it.`;
  draw();
}

async function submit() {
  const missing = board.missing();
  if (missing) {
    said.textContent = missing.what;
    at.phase = missing.phase;
    at.letter = missing.letter;
    draw();
    said.classList.add("is-urgent");
    focusOn(`${missing.phase === "rank" ? "card" : "strip"}-${missing.letter}`);
    return;
  }
  const outcome = await keeper.submit(board.answer);
  if (outcome) {
    said.textContent = "Sent.";
    keeper.next();
  }
}

const openTool = (id) => {
  const tool = document.getElementById(id);
  tool.open = !tool.open;
  if (tool.open) tool.querySelector("textarea, select, [tabindex]")?.focus();
};

const commands = {
  next: () => step(1),
  previous: () => step(-1),
  read: () => (reader ? reader.dialog.close() : read()),
  compare: () => compare(),
  undo: () => { at.whole = false; tell(board.undo()); },
  redo: () => tell(board.redo()),
  all_bad: () => tell(board.toggleAllBad()),
  phase: () => { reader?.dialog.close(); goTo(at.phase === "rate" ? "rank" : "rate"); },
  whole_tray: wholeTray,
  help,
  question: () => openTool("question-tool"),
  instructions: () => openTool("instructions"),
};

const isTyping = (target) => target.closest?.("textarea, select, [contenteditable], input:not([type=radio]):not([type=checkbox])");
const holdsSpace = (target) => target.closest?.("button:not(.slip-face):not(.chip), a, summary, input");

function digitOf(event) {
  if (/^[1-9]$/.test(event.key)) return Number(event.key);
  // Where digits need Shift (French keyboards), the bare key does too.
  const code = /^Digit([1-9])$/.exec(event.code);
  return code && !/^[a-z0-9]$/i.test(event.key) ? Number(code[1]) : null;
}

function onKey(event) {
  if (event.isComposing) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    if (isTyping(event.target)) return; // there it sends the question's form
    event.preventDefault();
    submit();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (document.querySelector("dialog.versions[open]")) return;
  if (at.phase === "rank" && !reader && !comparing && !helping && arrows(event)) return;
  if (!task.shortcuts_on) return;
  if (handle(event)) event.preventDefault();
}

// One key without modifiers; whether it meant something.
function handle(event) {
  const key = event.key.toLowerCase();
  const letter = key.length === 1 && board.letters.includes(key.toUpperCase()) ? key.toUpperCase() : null;
  const named = task.actions.find(({ name, where }) => keys[name] === key && (where === "both" || where === at.phase));
  if (helping) return named?.name === "help" ? (help(), true) : false;
  if (comparing) {
    if (letter) return comparing.set(event.shiftKey ? "left" : "right", letter), true;
    return named?.name === "compare" ? (comparing.dialog.close(), true) : false;
  }
  if (at.phase === "rank" && letter) {
    if (event.shiftKey && letter !== at.letter) compare(letter);
    else choose(letter);
    return true;
  }
  if (named && named.name in commands) {
    if (event.key === " " && holdsSpace(event.target)) return false;
    commands[named.name]();
    return true;
  }
  if (named && at.phase === "rate") return tell(board.toggle(at.letter, named.name)), true;
  const digit = digitOf(event);
  if (digit === null) return false;
  if (at.phase === "rank") place(digit);
  else if (digit <= 7) tell(board.rate(at.letter, digit));
  return true;
}

// Roving focus: one card is in the tab order, arrows go to its neighbours.
function arrows(event) {
  if (event.key === "Backspace" && event.target.closest?.(".slip-face")) {
    event.preventDefault();
    tell(board.toTray(at.letter));
    focusOn(`card-${at.letter}`);
    return true;
  }
  if (!event.key.startsWith("Arrow") || !event.target.closest?.(".slip-face")) return false;
  const lists = [...stage.querySelectorAll("[data-rank]")].map((group) => [...group.querySelectorAll("[data-card]")].map((shown) => shown.dataset.card));
  const x = lists.findIndex((list) => list.includes(at.letter));
  const y = lists[x].indexOf(at.letter);
  const inTray = x === 0;
  const along = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  let to = inTray && along ? lists[0][y + along] : inTray ? null : along ? null : lists[x][y + (event.key === "ArrowUp" ? -1 : 1)];
  if (!to && !inTray && event.key === "ArrowUp") to = lists[0][0];
  if (!to && (along || event.key === "ArrowDown") && !(inTray && along)) {
    for (let next = x + (along ?? 1); next > 0 && next < lists.length && !to; next += along ?? 1) to = lists[next][Math.min(y, lists[next].length - 1)];
  }
  event.preventDefault();
  if (to) choose(to);
  return true;
}

function focusOn(key) {
  root.querySelector(`[data-key="${key}"]`)?.focus({ preventScroll: false });
}

function draw() {
  said.classList.remove("is-urgent");
  const held = document.activeElement?.dataset?.key;
  root.dataset.phase = at.phase;
  drawStage();
  drawReading();
  drawPanel();
  sending.replaceChildren(...(at.phase === "rank" ? sendParts() : []));
  if (held && document.activeElement?.dataset?.key !== held) focusOn(held);
}

function drawStage() {
  const makeCard = (letter) => card(board, letter, { selected: letter === at.letter || (at.whole && !(letter in board.answer.ranks)), focusable: letter === at.letter, choose, text: cardOf(letter).text });
  stage.replaceChildren(steps(board, at.phase, goTo), ...(at.phase === "rate" ? [strip(board, at.letter, choose)] : [columns(board, makeCard, place)]));
  if (at.phase === "rank" && task.earlier.length) stage.append(earlier(task.earlier));
}

function drawReading() {
  if (reading.dataset.letter === at.letter) return;
  reading.dataset.letter = at.letter;
  const shown = cardOf(at.letter);
  const place = board.letters.indexOf(at.letter) + 1;
  reading.replaceChildren(
    h("header", {}, h("h2", { id: "reading-title" }, `Output ${at.letter}`), h("p", { class: "muted" }, `${place} of ${cards.length} · ${words(shown.words)}`)),
    h("div", { class: "output-text", tabindex: "0", role: "region", "aria-labelledby": "reading-title" }, shown.text));
}

function drawPanel() {
  if (at.phase === "rate") {
    if (panel.dataset.shows !== "rate") panel.replaceChildren(rateButtons.element, moveOn());
    panel.dataset.shows = "rate";
    rateButtons.update(at.letter);
    const last = at.letter === board.letters.at(-1);
    panel.querySelector("[data-key=next] .label").textContent = last ? "Go on to ranking" : "Next";
    panel.querySelector("[data-key=previous]").disabled = at.letter === board.letters[0];
    return;
  }
  panel.dataset.shows = "rank";
  panel.replaceChildren(
    placePanel(board, at.letter, at.whole, { place: (rank) => place(rank), back: () => { tell(board.toTray(at.letter)); focusOn(`card-${at.letter}`); }, read, compare: { go: () => compare(), keys: task.shortcuts_on ? keys : {} } }),
    ...differences());
}

const button = (name, label, attributes = {}) => h("button", { type: "button", class: "button", "data-key": name, onclick: () => commands[name](), ...attributes },
  h("span", { class: "label" }, label), " ", task.shortcuts_on ? h("kbd", { "aria-hidden": "true" }, keys[name]) : null);

function moveOn() {
  return h("p", { class: "panel-actions move-on" }, button("previous", "Previous", { class: "button quiet" }), button("next", "Next", { class: "button primary" }));
}

// Where ranks and ratings say opposite things; only said, never in the way.
function differences() {
  const found = board.disagreements();
  const { quality } = board.answer;
  if (!found.length) return [];
  return [h("div", { class: "notice warn disagree", role: "note" }, h("p", {}, "Ranks and ratings differ. Change either, or leave them:"),
    h("ul", {}, found.slice(0, 4).map(([better, worse]) => h("li", {}, `${better} (rated ${quality[better]}) stands above ${worse} (rated ${quality[worse]})`))),
    found.length > 4 ? h("p", {}, `and ${found.length - 4} more`) : null)];
}

function sendParts() {
  const waiting = board.missing();
  return [
    h("p", { class: "muted send-why", id: "send-why" }, waiting ? waiting.what.replace("Not sent: ", "Not yet: ") : "All are placed."),
    button("all_bad", "All are bad", { "aria-pressed": String(board.answer.all_bad), class: "button toggle" }),
    button("undo", "Undo", { class: "button quiet", disabled: board.past.length === 0 }),
    h("button", { type: "button", class: `button send${waiting ? "" : " primary"}`, "data-key": "send", "aria-describedby": "send-why", onclick: submit }, "Send ", task.shortcuts_on ? h("kbd", { "aria-hidden": "true" }, "Ctrl Enter") : null),
  ];
}

document.addEventListener("keydown", onKey);
const helpButton = document.getElementById("help-button");
helpButton.addEventListener("click", help);
helpButton.hidden = false;
// (Nothing is drawn while a card is dragged: its handle holds the pointer.)
makeDraggable(root, (letter, rank) => {
  at.letter = letter;
  at.whole = false;
  tell(rank === null ? board.toTray(letter) : board.place([letter], rank));
  draw();
  focusOn(`card-${letter}`);
});
root.hidden = false;
draw();
await keeper.start();
