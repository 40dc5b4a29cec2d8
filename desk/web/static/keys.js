// Keys for what links and forms do anyway: the pages work without this file.
// WCAG 2.1.4: single keys can be switched off; they are off while somebody types or composes with an IME.
"use strict";

const OFF = "keys-off";
const help = document.getElementById("keys");
const typing = "input:not([type=checkbox]):not([type=radio]), select, textarea, [contenteditable]";

// The part of the page that the focus is in: a clue of a list, or the whole page.
const here = () => document.activeElement?.closest("article, tr") ?? document;
const within = (selector) => here().querySelector(selector) ?? document.querySelector(selector);

function show(element) {
  element?.closest("details")?.setAttribute("open", "");
  element?.focus();
}

function step(by, wanted = () => true) {
  const links = [...document.querySelectorAll("main table a[href^='/desk/clues/'], main article h2 a")];
  const at = links.indexOf(here() === document ? null : here().querySelector("a[href^='/desk/clues/']"));
  let next = at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by;
  while (links[next] && !wanted(links[next])) next += by;
  links[next]?.focus();
}

const unclaimed = (link) => !link.closest("tr").matches(".out, :has([data-claimed])");
const inQueue = () => document.querySelector("tr[data-clue]") !== null;

const field = (verb) => () =>
  show(within(`form[action$='/${verb}'] :is(select, input:not([type=hidden]), button)`));

// The answer that most clues get: Enter sends it.
function nothingFound() {
  const outcome = within("form[action$='/answer'] [name=outcome][value=no_finding], form[action$='/answer'] select[name=outcome]");
  if (outcome?.matches("select")) outcome.value = "no_finding";
  show(outcome?.matches("select") ? outcome.form.querySelector("button") : outcome);
}

const acts = {
  j: () => step(1),
  k: () => step(-1),
  a: () => within("form[action$='/accept'] button")?.click(),
  f: field("answer"),
  n: () => (inQueue() ? step(1, unclaimed) : nothingFound()),
  h: field("hold"),
  t: field("transfer"),
  "/": () => document.querySelector(".filters input, .filters select")?.focus(),
  "?": () => help.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.keyCode === 229) return;
  const answering = event.key === "n" && event.target.matches("select[name=outcome]");
  if ((event.target.closest(typing) && !answering) || help.open || localStorage.getItem(OFF)) return;
  const act = acts[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});

// A page that is left may be kept, to come back at once: without the person that it has shown.
addEventListener("pagehide", () => document.querySelector("[data-person]")?.remove());

// Back to the queue as it was left, with its filters; the part after # puts the focus on the row.
const back = document.getElementById("back");
const left = sessionStorage.getItem("queue");
if (back && left) back.href = left + back.hash;

const choice = help.querySelector("input");
choice.checked = !localStorage.getItem(OFF);
choice.addEventListener("change", () =>
  choice.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1"),
);
const opener = document.getElementById("keys-open");
opener.hidden = false;
opener.addEventListener("click", () => help.showModal());
