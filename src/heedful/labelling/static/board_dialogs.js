// What opens over the board: one output at full size, two side by side, the keys, a choice
// between two versions.

import { compareWords } from "./board_diff.js";
import { h, kbd, words } from "./board_parts.js";

const MARK_ABOVE = 0.25; // below this share of common words, marking all the rest only tires

export function open(dialog, onClose, { stays = false } = {}) {
  const native = dialog.close.bind(dialog);
  const finish = () => {
    if (!dialog.isConnected) return;
    dialog.remove();
    onClose?.();
  };
  // At once, not with the event that follows: the next key belongs to the board again.
  dialog.close = () => {
    native();
    finish();
  };
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    if (!stays) dialog.close();
  });
  dialog.addEventListener("close", finish);
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

export class Reader {
  constructor({ cardOf, step, keys, onClose }) {
    this.cardOf = cardOf;
    this.title = h("h2", { id: "reader-title" });
    this.said = h("p", { class: "reader-said", role: "status" });
    this.text = h("div", { class: "output-text", tabindex: "0", role: "region", "aria-labelledby": "reader-title" });
    this.dialog = open(h("dialog", { class: "sheet reader", "aria-labelledby": "reader-title" },
      h("header", {}, this.title, this.said,
        h("span", { class: "sheet-actions" },
          h("button", { type: "button", class: "button quiet", onclick: () => step(-1) }, "Previous ", kbd(keys.previous)),
          h("button", { type: "button", class: "button quiet", onclick: () => step(1) }, "Next ", kbd(keys.next)),
          h("button", { type: "button", class: "button", onclick: () => this.dialog.close() }, "Close"))),
      this.text), onClose);
  }

  show(letter, note) {
    const card = this.cardOf(letter);
    this.title.textContent = `Output ${letter}`;
    this.said.textContent = [words(card.words), note].filter(Boolean).join(" · ");
    if (this.letter === letter) return; // rated while reading: the text stays where it is
    this.letter = letter;
    this.text.textContent = card.text;
    this.text.scrollTop = 0;
    this.text.focus();
  }
}

export function openCompare({ cards, left, right, onClose }) {
  const cardOf = (letter) => cards.find((card) => card.letter === letter);
  const panes = { left: h("div", { class: "output-text", tabindex: "0", role: "region" }), right: h("div", { class: "output-text", tabindex: "0", role: "region" }) };
  const chosen = { left, right };
  const share = h("p", { class: "reader-said", role: "status" });
  const mark = h("input", { type: "checkbox", id: "mark-differences", onchange: () => fill() });
  const select = (side, label) => h("select", { "aria-label": label, onchange: (event) => { chosen[side] = event.target.value; update(); } },
    cards.map((card) => h("option", { value: card.letter, selected: card.letter === chosen[side] }, `Output ${card.letter} (${words(card.words)})`)));
  const selects = { left: select("left", "Output on the left"), right: select("right", "Output on the right") };
  let found;

  const fill = () => {
    for (const side of ["left", "right"]) {
      const { text } = cardOf(chosen[side]);
      panes[side].replaceChildren(...(mark.checked ? found[side].map((run) => (run.same ? run.text : h("mark", {}, run.text))) : [text]));
    }
  };
  const update = () => {
    found = compareWords(cardOf(chosen.left).text, cardOf(chosen.right).text);
    mark.checked = found.share >= MARK_ABOVE;
    share.textContent = `${Math.round(100 * found.share)} % of the words in common${mark.checked ? "" : "; too different to mark"}`;
    for (const side of ["left", "right"]) {
      selects[side].value = chosen[side];
      panes[side].setAttribute("aria-label", `Output ${chosen[side]}`);
      panes[side].scrollTop = 0;
    }
    fill();
  };
  const dialog = open(h("dialog", { class: "sheet compare", "aria-label": "Compare two outputs" },
    h("header", {}, h("h2", {}, "Compare"), share,
      h("span", { class: "sheet-actions" }, h("label", { class: "mark-switch", for: "mark-differences" }, mark, " Mark the words that differ"),
        h("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Close"))),
    h("div", { class: "compare-panes" }, h("section", {}, selects.left, panes.left), h("section", {}, selects.right, panes.right))), onClose);
  update();
  panes.left.focus();
  return { dialog, set(side, letter) { if (cardOf(letter)) { chosen[side] = letter; update(); } } };
}

export function openHelp({ actions, keys, on, numCards, settingsUrl, onClose }) {
  const row = (key, what) => h("tr", {}, h("td", {}, h("kbd", {}, key === " " ? "Space" : key)), h("td", {}, what));
  const table = (caption, rows) => h("table", { class: "keys compact" }, h("caption", {}, caption), h("tbody", {}, rows));
  const of = (where) => actions.filter((action) => action.where === where).map((action) => row(keys[action.name], action.label));
  const last = String.fromCharCode(64 + numCards);
  const dialog = open(h("dialog", { class: "sheet all-keys", "aria-labelledby": "help-title" },
    h("header", {}, h("h2", { id: "help-title" }, "Keys"), h("span", { class: "sheet-actions" }, h("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Close"))),
    h("div", { class: "all-keys-body", tabindex: "0", role: "region", "aria-label": "All keys" },
      on ? null : h("p", { class: "notice warn" }, "Single keys are switched off in your settings."),
      table("Rating", [row("1 – 7", "Overall quality"), ...of("rate")]),
      table("Ranking", [row(`A – ${last}`, "Choose an output"), row(`1 – ${numCards}`, "Place it at that rank; the same number is a tie"), row(`Shift + A – ${last}`, "Compare it with the chosen one"), row("Backspace", "Back to the tray"), row("← ↑ → ↓", "Move between the cards"), ...of("rank")]),
      table("Everywhere", [...of("both"), row("Ctrl + Enter", "Send, once all are placed and rated"), row("Esc", "Close what is open; stop dragging")]),
      h("p", {}, h("a", { href: settingsUrl, target: "_blank", rel: "noopener" }, "Change or switch off these keys")))), onClose);
  return dialog;
}

// Two versions of the same work: resolves to "mine" or "theirs". Closing keeps asking.
export function chooseVersion(mine, theirs) {
  return new Promise((resolve) => {
    const decide = (which) => () => {
      dialog.dataset.decided = which;
      dialog.close();
    };
    const side = (title, body, which, label) => h("section", { class: "version" }, h("h3", {}, title), body,
      h("button", { type: "button", class: "button", "data-choice": which, onclick: decide(which) }, label));
    const dialog = h("dialog", { class: "sheet versions", "aria-labelledby": "versions-title" },
      h("header", {}, h("h2", { id: "versions-title" }, "This task was changed in two places")),
      h("p", {}, "Nothing has been thrown away yet. Which version do you want to keep?"),
      h("div", { class: "compare-panes" }, side("Here", mine, "mine", "Keep this one"), side("The other tab or device", theirs, "theirs", "Take the other")));
    open(dialog, () => resolve(dialog.dataset.decided ?? "mine"), { stays: true });
  });
}

// A version in words, for the choice above.
export function versionInWords(answer, letters) {
  const ranks = letters.filter((letter) => letter in answer.ranks);
  const byRank = [...new Set(ranks.map((letter) => answer.ranks[letter]))].sort((a, b) => a - b);
  const order = byRank.map((rank) => ranks.filter((letter) => answer.ranks[letter] === rank).join(" = "));
  const rated = letters.filter((letter) => letter in answer.quality).map((letter) => `${letter} ${answer.quality[letter]}`);
  return h("dl", { class: "definitions" },
    h("div", {}, h("dt", {}, "Ranking"), h("dd", {}, order.join("  >  ") || "none yet")),
    h("div", {}, h("dt", {}, "In the tray"), h("dd", {}, letters.filter((letter) => !(letter in answer.ranks)).join(", ") || "none")),
    h("div", {}, h("dt", {}, "Ratings"), h("dd", {}, rated.join(", ") || "none yet")),
    h("div", {}, h("dt", {}, "All are bad"), h("dd", {}, answer.all_bad ? "yes" : "no")));
}
