// What a labeller has decided so far, and what each command makes of it; no page, no network.
// States are frozen and never change, so that undoing is going back to an earlier one.

export const LETTERS = "ABCDEFGHI";

// An answer in the making, as it is saved and sent: quality, flags, ranks by card letter.
export const emptyAnswer = () => ({ quality: {}, flags: {}, ranks: {}, all_bad: false, seconds: {} });

// A draft that came from the server or the browser, without whatever does not belong there.
export function readAnswer(body, cards, flags) {
  const answer = emptyAnswer();
  const from = body && typeof body === "object" ? body : {};
  for (const { letter } of cards) {
    const quality = from.quality?.[letter];
    if (Number.isInteger(quality) && quality >= 1 && quality <= 7) answer.quality[letter] = quality;
    const rank = from.ranks?.[letter];
    if (Number.isInteger(rank) && rank >= 1 && rank <= cards.length) answer.ranks[letter] = rank;
    for (const flag of flags) {
      const value = from.flags?.[letter]?.[flag.name];
      if (value === true || (value === false && flag.three_state)) {
        (answer.flags[letter] ??= {})[flag.name] = value;
      }
    }
    const seconds = from.seconds?.[letter];
    if (Number.isFinite(seconds) && seconds > 0) answer.seconds[letter] = seconds;
  }
  answer.all_bad = from.all_bad === true;
  if (Number.isFinite(from.seconds?.ranking)) answer.seconds.ranking = from.seconds.ranking;
  return answer;
}

// Whether two answers say the same; time spent does not count.
export function sameAnswer(one, other) {
  const said = ({ quality, flags, ranks, all_bad }) =>
    JSON.stringify([sorted(quality), Object.entries(flags).map(([k, v]) => [k, sorted(v)])
      .filter(([, v]) => v.length).sort(), sorted(ranks), all_bad]);
  return said(one) === said(other);
}

const sorted = (values) => Object.entries(values ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));

export class Board {
  constructor({ cards, flags, answer, ratingsRequired }) {
    this.cards = cards;
    this.letters = cards.map((card) => card.letter);
    this.flags = flags;
    this.ratingsRequired = ratingsRequired;
    this.answer = answer;
    this.past = [];
    this.future = [];
  }

  get tray() {
    return this.letters.filter((letter) => !(letter in this.answer.ranks));
  }

  get unrated() {
    return this.letters.filter((letter) => !(letter in this.answer.quality));
  }

  column(rank) {
    return this.letters.filter((letter) => this.answer.ranks[letter] === rank);
  }

  flag(letter, name) {
    return this.answer.flags[letter]?.[name] ?? null;
  }

  // Each returns what to tell, or null where nothing changed.
  rate(letter, quality) {
    if (this.answer.quality[letter] === quality) return null;
    this.#change(`rating of ${letter}`, (next) => { next.quality[letter] = quality; });
    const left = this.unrated.length;
    return `${letter} rated ${quality} of 7. ${left ? `${left} left to rate.` : "All are rated."}`;
  }

  // A plain flag goes on and off; one that may not apply goes: does not apply, yes, no.
  toggle(letter, name) {
    const flag = this.flags.find((known) => known.name === name);
    const now = this.flag(letter, name);
    const then = flag.three_state ? { null: true, true: false, false: null }[now] : now ? null : true;
    return this.setFlag(letter, name, then);
  }

  setFlag(letter, name, value) {
    if (this.flag(letter, name) === value) return null;
    const flag = this.flags.find((known) => known.name === name);
    this.#change(`${flag.label} of ${letter}`, (next) => {
      const mine = { ...next.flags[letter] };
      if (value === null) delete mine[name];
      else mine[name] = value;
      next.flags[letter] = mine;
    });
    const unset = flag.three_state ? "does not apply" : "no";
    return `${letter}, ${flag.label}: ${value === null ? unset : value ? "yes" : "no"}.`;
  }

  place(letters, rank) {
    const moved = letters.filter((letter) => this.answer.ranks[letter] !== rank);
    if (!moved.length || rank < 1 || rank > this.letters.length) return null;
    this.#change(`placing ${moved.join(", ")}`, (next) => {
      for (const letter of moved) next.ranks[letter] = rank;
    });
    const tied = this.column(rank).filter((letter) => !moved.includes(letter));
    const left = this.tray.length;
    return `${moved.join(", ")} at rank ${rank}${tied.length ? `, tied with ${tied.join(", ")}` : ""}. `
      + (left ? `${left} left in the tray.` : "The tray is empty.");
  }

  toTray(letter) {
    if (!(letter in this.answer.ranks)) return null;
    this.#change(`taking ${letter} back`, (next) => { delete next.ranks[letter]; });
    return `${letter} is back in the tray. ${this.tray.length} left in the tray.`;
  }

  toggleAllBad() {
    this.#change("All are bad", (next) => { next.all_bad = !next.all_bad; });
    return this.answer.all_bad
      ? "Marked: all of these are bad. Rank them all the same; ties are welcome."
      : "No longer marked as all bad.";
  }

  undo() {
    const step = this.past.pop();
    if (!step) return "There is nothing to undo.";
    this.future.push({ what: step.what, answer: this.answer });
    this.answer = { ...step.answer, seconds: this.answer.seconds };
    return `Undone: ${step.what}. ${this.tray.length} in the tray.`;
  }

  redo() {
    const step = this.future.pop();
    if (!step) return "There is nothing to redo.";
    this.past.push({ what: step.what, answer: this.answer });
    this.answer = { ...step.answer, seconds: this.answer.seconds };
    return `Done again: ${step.what}.`;
  }

  // Another version takes this one's place; undoing brings this one back.
  replace(answer, what) {
    this.#change(what, () => answer);
  }

  // Pairs where the ranks say one thing and the ratings the opposite.
  disagreements() {
    const { ranks, quality } = this.answer;
    const known = this.letters.filter((letter) => letter in ranks && letter in quality);
    const found = [];
    for (const better of known) {
      for (const worse of known) {
        if (ranks[better] < ranks[worse] && quality[better] < quality[worse]) found.push([better, worse]);
      }
    }
    return found.sort(([a, b], [c, d]) =>
      quality[d] - quality[c] - (quality[b] - quality[a]));
  }

  // Why it cannot be sent yet, or null.
  missing() {
    const tray = this.tray;
    if (tray.length) {
      return { phase: "rank", letter: tray[0], what: `Not sent: ${list(tray)} ${tray.length > 1 ? "are" : "is"} still in the tray.` };
    }
    const unrated = this.unrated;
    // Adjudicators need not rate, but half a set of ratings cannot be compared.
    if (unrated.length && (this.ratingsRequired || unrated.length < this.letters.length)) {
      return { phase: "rate", letter: unrated[0], what: `Not sent: ${list(unrated)} ${unrated.length > 1 ? "have" : "has"} no rating yet.` };
    }
    return null;
  }

  #change(what, edit) {
    this.past.push({ what, answer: this.answer });
    this.future = [];
    const { quality, flags, ranks, all_bad, seconds } = this.answer;
    const next = { quality: { ...quality }, flags: { ...flags }, ranks: { ...ranks }, all_bad, seconds };
    this.answer = edit(next) ?? next;
  }
}

export function list(letters) {
  return letters.length < 2 ? letters.join("") : `${letters.slice(0, -1).join(", ")} and ${letters.at(-1)}`;
}
