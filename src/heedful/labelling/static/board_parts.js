// Builds the board's elements. Text from data only ever goes in as text, never as markup.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const kbd = (key) => key ? h("kbd", { "aria-hidden": "true" }, key === " " ? "Space" : key) : null;

export const words = (count) => `${count.toLocaleString("en")} ${count === 1 ? "word" : "words"}`;

// The two steps and how far each is.
export function steps(board, phase, go) {
  const rated = board.letters.length - board.unrated.length;
  const placed = board.letters.length - board.tray.length;
  const total = board.letters.length;
  const step = (name, label, done) => h("button", {
    type: "button", class: "step", "data-key": `step-${name}`, "aria-current": phase === name ? "step" : null, onclick: () => go(name),
  }, h("b", {}, label), h("span", {}, `${done} of ${total}`));
  return h("nav", { class: "steps", "aria-label": "Steps" },
    step("rate", board.ratingsRequired ? "Rate" : "Rate (optional)", rated), step("rank", "Rank", placed));
}

// One button a card, with its rating.
export function strip(board, current, choose) {
  return h("ol", { class: "strip", "aria-label": "Outputs" }, board.letters.map((letter) => {
    const quality = board.answer.quality[letter];
    const flagged = board.flags.filter((flag) => board.flag(letter, flag.name) === true).length;
    return h("li", {}, h("button", {
      type: "button", class: `chip${quality ? " is-rated" : ""}`, "data-key": `strip-${letter}`,
      "aria-current": letter === current ? "true" : null,
      "aria-label": `Output ${letter}, ${quality ? `rated ${quality}` : "not rated"}${flagged ? `, ${flagged} marked` : ""}`,
      onclick: () => choose(letter),
    }, h("b", {}, letter), h("span", {}, quality ?? "–"), flagged ? h("i", {}, "•".repeat(Math.min(flagged, 3))) : null));
  }));
}

export function card(board, letter, { selected, focusable, choose, text }) {
  const quality = board.answer.quality[letter];
  const rank = board.answer.ranks[letter];
  return h("li", { class: `slip${selected ? " is-selected" : ""}`, "data-card": letter },
    h("span", { class: "handle", "data-handle": letter, "aria-hidden": "true", title: "Drag" }, "⠿"),
    h("button", {
      type: "button", class: "slip-face", "data-key": `card-${letter}`, tabindex: focusable ? "0" : "-1", "aria-pressed": String(selected),
      "aria-label": `Output ${letter}, ${quality ? `rated ${quality}` : "not rated"}, ${rank ? `rank ${rank}` : "in the tray"}`,
      onclick: () => choose(letter),
    }, h("span", { class: "slip-top" }, h("b", {}, letter), h("span", { class: "score" }, quality ? `${quality}/7` : "–")),
    h("span", { class: "preview" }, text.slice(0, 160))));
}

// Columns of ranks, and the tray that starts full.
export function columns(board, makeCard, place) {
  const total = board.letters.length;
  const ranks = board.letters.map((_, i) => i + 1).map((rank) => {
    const here = board.column(rank);
    const note = rank === 1 ? "best" : rank === total ? "worst" : "";
    return h("section", { class: `column${here.length > 1 ? " is-tie" : ""}${here.length ? "" : " is-empty"}`, "data-rank": rank, "aria-label": `Rank ${rank}${note ? `, ${note}` : ""}: ${here.length ? here.join(", ") : "empty"}` },
      h("h2", { onclick: () => place(rank) }, h("span", { class: "rank-word" }, "Rank "), `${rank}`, note ? h("small", {}, ` ${note}`) : null, here.length > 1 ? h("small", { class: "tie" }, ` tie`) : null),
      h("ul", {}, here.map(makeCard)));
  });
  const waiting = board.tray;
  const tray = h("section", { class: `tray${waiting.length ? "" : " is-empty"}`, "data-rank": "tray", "aria-label": `Tray: ${waiting.length ? waiting.join(", ") : "empty"}` },
    h("h2", {}, "Tray ", h("small", {}, waiting.length ? `${waiting.length} to place` : "empty: all are placed")),
    h("ul", {}, waiting.map(makeCard)));
  return h("div", { class: "ranks" }, tray, h("div", { class: "rank-columns", "data-count": total }, ranks));
}

// One to seven, and the questions of the paper's table, for whichever output is current.
export class RatePanel {
  constructor(board, keyOf, act) {
    this.board = board;
    this.scale = [1, 2, 3, 4, 5, 6, 7].map((value) => h("input", {
      type: "radio", name: "quality", value, id: `quality-${value}`, "aria-label": `${value} of 7`, onchange: () => act((letter) => board.rate(letter, value)),
    }));
    this.flags = board.flags.map((flag) => this.#flag(flag, keyOf(flag.name), act));
    this.title = h("h2", { id: "rate-title" });
    this.element = h("div", { class: "rate-panel" },
      this.title,
      h("fieldset", { class: "quality" }, h("legend", {}, "Overall quality"),
        h("div", { class: "quality-scale" }, this.scale.map((input) => h("label", { for: input.id }, input, h("span", { "aria-hidden": "true" }, input.value)))),
        h("p", { class: "ends", "aria-hidden": "true" }, h("span", {}, "very poor"), h("span", {}, "excellent"))),
      h("fieldset", { class: "flags" }, h("legend", {}, "Mark what is true of it"), this.flags.map((flag) => flag.row)));
  }

  #flag(flag, key, act) {
    if (!flag.three_state) {
      const button = h("button", { type: "button", class: "flag", "aria-pressed": "false", title: flag.hint, "data-flag": flag.name, onclick: () => act((letter) => this.board.toggle(letter, flag.name)) },
        h("span", { class: "tick", "aria-hidden": "true" }), h("span", { class: "flag-label" }, flag.label), kbd(key));
      return { flag, row: button, button };
    }
    const values = [["n/a", null], ["yes", true], ["no", false]];
    const inputs = values.map(([label, value]) => h("input", { type: "radio", name: `flag-${flag.name}`, value: label, "aria-label": label === "n/a" ? "does not apply" : label, onchange: () => act((letter) => this.board.setFlag(letter, flag.name, value)) }));
    const row = h("div", { class: "flag three", role: "radiogroup", "aria-label": flag.label, title: flag.hint, "data-flag": flag.name },
      h("span", { class: "flag-label" }, flag.label), h("span", { class: "three-values" }, inputs.map((input) => h("label", {}, input, h("span", { "aria-hidden": "true" }, input.value)))), kbd(key));
    return { flag, row, inputs, values };
  }

  update(letter) {
    this.title.textContent = `Rate ${letter}`;
    const quality = this.board.answer.quality[letter];
    for (const input of this.scale) input.checked = Number(input.value) === quality;
    for (const { flag, button, inputs, values } of this.flags) {
      const value = this.board.flag(letter, flag.name);
      if (button) button.setAttribute("aria-pressed", String(value === true));
      else inputs.forEach((input, i) => { input.checked = values[i][1] === value; });
    }
  }
}

// Where the chosen output goes; on touch this is the rank picker.
export function placePanel(board, letter, whole, { place, back, read, compare }) {
  const total = board.letters.length;
  const now = board.answer.ranks[letter];
  const marked = board.flags.filter((flag) => board.flag(letter, flag.name) === true).map((flag) => flag.label);
  return h("div", { class: "place-panel" },
    h("h2", {}, whole ? `Place ${board.tray.join(", ")}` : `Place ${letter}`),
    h("div", { class: "picker", role: "group", "aria-label": `Rank of ${whole ? "the whole tray" : letter}` },
      board.letters.map((_, i) => h("button", { type: "button", class: "pick", "data-key": `pick-${i + 1}`, "aria-pressed": String(!whole && now === i + 1), "aria-label": `Rank ${i + 1}`, onclick: () => place(i + 1) }, String(i + 1)))),
    h("p", { class: "ends", "aria-hidden": "true" }, h("span", {}, "best"), h("span", {}, total > 2 ? "same number: a tie" : ""), h("span", {}, "worst")),
    h("p", { class: "panel-actions" },
      h("button", { type: "button", class: "button", "data-key": "read", onclick: read }, "Read ", kbd(compare.keys.read)),
      h("button", { type: "button", class: "button", "data-key": "compare", onclick: compare.go }, "Compare ", kbd(compare.keys.compare)),
      now ? h("button", { type: "button", class: "button quiet", "data-key": "back", onclick: back }, "To the tray") : null),
    marked.length && !whole ? h("p", { class: "marked" }, `You marked ${letter}: ${marked.join("; ")}.`) : null);
}

// Earlier rankings of an item whose labellers disagreed, without names.
export function earlier(rankings) {
  return h("section", { class: "earlier", "aria-label": "Earlier rankings" }, h("h2", {}, "Earlier rankings"),
    h("div", { class: "earlier-list" }, rankings.map((ranking) => h("div", { class: "earlier-one" },
      h("h3", {}, ranking.label, ranking.all_bad ? h("small", {}, " all are bad") : null),
      h("ol", {}, ranking.columns.map((tied) => h("li", {}, tied.map((letter) => h("span", { class: "mini" }, letter, ranking.quality[letter] ? h("sub", {}, ranking.quality[letter]) : null))))))))); 
}
