// The tasks that are forms: kept and sent by work.js. Without it they are plain forms.

import { Keeper, Status } from "./work.js";

const task = JSON.parse(document.getElementById("task-data").textContent);
const form = document.querySelector("form[data-work-form]");
const length = document.getElementById("text-length");
const pairs = document.getElementById("pairs");
const OURS = new Set(["csrf_token", "token", "more"]);

function fields() {
  const found = {};
  for (const [name, value] of new FormData(form)) {
    if (OURS.has(name)) continue;
    if (name.startsWith("pair_")) (found[name] ??= []).push(value);
    else found[name] = value;
  }
  return found;
}

const plain = (values) => JSON.stringify(Object.entries(values ?? {})
  .map(([name, value]) => [name, Array.isArray(value) ? value.map((one) => one.replace(/\r\n/g, "\n")) : String(value).replace(/\r\n/g, "\n")])
  .filter(([, value]) => value.length && (!Array.isArray(value) || value.some(Boolean))).sort());

function fill(values) {
  for (const kind of ["pair_prompt", "pair_completion"]) {
    const wanted = values[kind] ?? [];
    while (pairs && form.querySelectorAll(`[name=${kind}]`).length < wanted.length) addPair();
    form.querySelectorAll(`[name=${kind}]`).forEach((area, i) => { area.value = wanted[i] ?? ""; });
  }
  for (const control of form.elements) {
    if (!control.name || OURS.has(control.name) || control.name.startsWith("pair_")) continue;
    if (control.type === "checkbox") control.checked = values[control.name] === control.value;
    else control.value = values[control.name] ?? "";
  }
  count();
}

function addPair() {
  const number = pairs.querySelectorAll("fieldset").length + 1;
  const added = pairs.querySelector("fieldset").cloneNode(true);
  added.querySelector("legend").textContent = `Pair ${number}`;
  for (const part of added.querySelectorAll("[id], [for]")) {
    for (const name of ["id", "for"]) {
      if (part.hasAttribute(name)) part.setAttribute(name, part.getAttribute(name).replace(/\d+/, number - 1));
    }
  }
  for (const area of added.querySelectorAll("textarea")) area.value = "";
  for (const error of added.querySelectorAll(".error")) error.remove();
  pairs.append(added);
  return added;
}

function count() {
  const area = form.querySelector("[data-count-words]");
  if (!area || !length) return;
  const words = (area.value.match(/\S+/g) ?? []).length;
  length.textContent = `${words.toLocaleString("en")} ${words === 1 ? "word" : "words"}, ${area.value.length.toLocaleString("en")} characters`;
}

function inWords(values) {
  const list = document.createElement("dl");
  list.className = "definitions";
  for (const [name, value] of Object.entries(values)) {
    const row = document.createElement("div");
    const term = Object.assign(document.createElement("dt"), { textContent: name.replaceAll("_", " ") });
    const text = Object.assign(document.createElement("dd"), { className: "text small", textContent: Array.isArray(value) ? value.join("\n\n") : value });
    row.append(term, text);
    list.append(row);
  }
  return list;
}

const keeper = new Keeper(task, {
  read: () => ({ fields: fields() }),
  same: (one, other) => plain(one?.fields) === plain(other?.fields),
  show: (body) => fill(body.fields ?? {}),
  async choose(theirs) {
    const { chooseVersion } = await import("./board_dialogs.js");
    return chooseVersion(inWords(fields()), inWords(theirs.fields ?? {}));
  },
}, new Status(document.getElementById("saved"), document.getElementById("banner")));

form.addEventListener("input", () => {
  count();
  keeper.changed();
});
form.addEventListener("click", (event) => {
  const button = event.target.closest("[data-add-pair]");
  if (!button) return;
  event.preventDefault();
  addPair().querySelector("textarea").focus();
});
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(form.querySelector(".primary"));
});
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const outcome = await keeper.submit(fields());
  if (outcome) keeper.next();
});
for (const hint of document.querySelectorAll("[data-script-only]")) hint.hidden = false;
count();
if (matchMedia("(max-width: 67.99rem)").matches) document.getElementById("instructions").open = false;
// What the server put back into the form, after it refused it, is newer than any draft.
if (document.querySelector("[aria-invalid]")) task.body = null;
await keeper.start();
