// What pages do beyond links and forms. Each works without it.
"use strict";

const root = document.documentElement;

// The theme: that of the system, or the other one. The server draws it from the cookie, so that no
// page flashes.
function theme() {
  return root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

function switchTheme() {
  root.dataset.theme = theme() === "dark" ? "light" : "dark";
  document.cookie = `ops_theme=${root.dataset.theme}; Path=/ops; Max-Age=31536000; SameSite=Strict`;
}

function showWhatNeedsScript() {
  const kinds = "[data-theme-switch], [data-live-switch], [data-keys], [data-select-page], [data-select-none]";
  for (const hidden of document.querySelectorAll(kinds)) hidden.hidden = false;
}

// Where one is in the menu is seen, also where the menu is wider than the screen. Once for each menu:
// who moves it then is let be.
let shownHere = null;

function showHere() {
  const here = document.querySelector("nav[aria-label=Main] [aria-current]");
  if (!here || here === shownHere) return;
  shownHere = here;
  const menu = here.closest("nav");
  const middle = here.getBoundingClientRect().left - menu.getBoundingClientRect().left + here.offsetWidth / 2;
  menu.scrollLeft += middle - menu.clientWidth / 2;
}

// On a phone what filters is folded, so that rows come first.
function foldFilters() {
  for (const filters of document.querySelectorAll("details[data-fold]")) {
    filters.removeAttribute("data-fold");
    if (matchMedia("(max-width: 640px)").matches) filters.open = false;
  }
}

// One player for all pages. It lies outside of what is swapped, so it goes on.
const player = () => document.getElementById("player");
let playing = "";

function play(button) {
  if (playing === button.dataset.play) return toggle();
  playing = button.dataset.play;
  player().src = playing;
  document.getElementById("player-title").textContent = button.dataset.title || "";
  document.getElementById("dock").hidden = false;
  player().play().catch(() => say("This episode cannot be played now."));
}

function toggle() {
  if (!playing) return;
  if (player().paused) player().play().catch(() => {});
  else player().pause();
}

function closePlayer() {
  playing = "";
  player().pause();
  player().removeAttribute("src");
  document.getElementById("dock").hidden = true;
  showPlaying();
}

// Buttons say whether it is theirs that plays; again after each swap, which knows nothing of it.
function showPlaying() {
  for (const button of document.querySelectorAll("[data-play]")) {
    const plays = button.dataset.play === playing && !player().paused;
    button.toggleAttribute("data-playing", plays);
    button.title = plays ? "Playing: press to pause" : "";
    const [shape] = button.getElementsByTagName("path");
    shape?.setAttribute("d", plays ? "M8 5v14M16 5v14" : "M8 5.500v13l11-6.500z");
  }
}

// What is selected outlives updates and paging; another filter begins anew.
const selected = new Set();
let selectedOf = null;
const boxes = () => [...document.querySelectorAll("input[name=id][form=selection]")];

function showSelected() {
  const form = document.getElementById("selection");
  if (!form) return;
  if (selectedOf !== form.dataset.query) {
    selectedOf = form.dataset.query;
    selected.clear();
    for (const box of boxes()) if (box.checked) selected.add(box.value);
  }
  for (const box of boxes()) box.checked = selected.has(box.value);
  const elsewhere = selected.size - boxes().filter((box) => box.checked).length;
  const also = elsewhere ? ` (${elsewhere} on other pages)` : "";
  form.querySelector("[data-selected-count]").textContent = `${selected.size} selected${also}:`;
  for (const verb of form.querySelectorAll("button[name=verb]")) verb.disabled = selected.size === 0;
}

function select(box, is) {
  if (is) selected.add(box.value);
  else selected.delete(box.value);
  showSelected();
}

// Those on other pages are sent along.
function sendSelected(form) {
  for (const old of form.querySelectorAll("input[type=hidden][name=id]")) old.remove();
  const here = new Set(boxes().map((box) => box.value));
  for (const id of selected) {
    if (here.has(id)) continue;
    const input = Object.assign(document.createElement("input"), { type: "hidden", name: "id", value: id });
    form.append(input);
  }
}

// Updates can be paused: the stream is closed, and opened again for what was missed.
let paused = null;

function switchLive(button) {
  const stream = document.getElementById("stream");
  if (paused && stream?.isSameNode(paused.place)) {
    stream.replaceWith(paused.stream);
    htmx.process(paused.stream);
    paused = null;
  } else if (stream) {
    const place = Object.assign(document.createElement("div"), { id: "stream", hidden: true });
    paused = { place, stream: stream.cloneNode(true) };
    stream.replaceWith(place);
  }
  button.setAttribute("aria-pressed", String(Boolean(paused)));
  button.querySelector("span").textContent = paused ? "Go on updating" : "Pause updates";
  say(paused ? "Updates are paused." : "Updates go on.");
}

// Told sparingly: who listens to a page must not be drowned in its changes.
const QUIET_MS = 15000;
let toldAt = 0;
let untold = new Set();

function say(words) {
  document.getElementById("announcer").textContent = words;
}

const states = () => new Map([...document.querySelectorAll("tr[data-row]")].map((row) => [row.id, row.querySelector(".pill")?.textContent]));
let known = new Map();

function tellChanges() {
  const now = states();
  for (const [id, state] of now) if (known.has(id) && known.get(id) !== state) untold.add(id);
  known = now;
  if (!untold.size || Date.now() - toldAt < QUIET_MS) return;
  say(`Updated, ${untold.size} changed.`);
  toldAt = Date.now();
  untold = new Set();
}

// Keys. None of them while something is written.
const PAGES = { t: "/ops", p: "/ops/podcasts", f: "/ops/failures", n: "/ops/nights" };
let going = false;

function moveRow(step) {
  const rows = [...document.querySelectorAll("tr[data-row]")];
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + step))];
  next?.querySelector("a[id^=open-]")?.focus();
}

function selectRow() {
  const box = document.activeElement?.closest("tr[data-row]")?.querySelector("input[type=checkbox]");
  if (box) select(box, !box.checked);
  return Boolean(box);
}

function go(page) {
  document.querySelector(`nav[aria-label=Main] a[href="${page}"]`)?.click();
}

const KEYS = {
  "/": () => document.querySelector("input[type=search]")?.focus(),
  j: () => moveRow(1),
  k: () => moveRow(-1),
  x: selectRow,
  "?": () => document.getElementById("keys").showModal(),
};

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const on = event.target;
  if (on.closest("select, textarea, [contenteditable]") || on.matches("input:not([type=checkbox])")) return;
  const key = event.key;
  if (going && PAGES[key]) go(PAGES[key]);
  else if (key === " " && playing && !on.closest("a, button, input, audio, summary")) toggle();
  else if (key !== "g" && KEYS[key]) KEYS[key]();
  else if (key !== "g") return (going = false);
  going = key === "g";
  event.preventDefault();
}

const CLICKS = {
  "[data-theme-switch]": switchTheme,
  "[data-player-close]": closePlayer,
  "[data-live-switch]": switchLive,
  "[data-keys]": () => document.getElementById("keys").showModal(),
  "[data-select-page]": () => {
    for (const box of boxes()) selected.add(box.value);
    showSelected();
  },
  "[data-select-none]": () => {
    selected.clear();
    showSelected();
  },
};

document.addEventListener("click", (event) => {
  for (const [kind, act] of Object.entries(CLICKS)) {
    const target = event.target.closest(kind);
    if (target) return act(target);
  }
  const button = event.target.closest("[data-play]");
  if (!button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  play(button);
});

document.addEventListener("change", (event) => {
  if (event.target.matches("input[name=id][form=selection]")) select(event.target, event.target.checked);
});

document.addEventListener("submit", (event) => {
  if (event.target.id === "selection") sendSelected(event.target);
}, true);

// What is left empty need not be in the address.
document.addEventListener("formdata", (event) => {
  if (!event.target.matches("[data-lean]")) return;
  for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
});

document.addEventListener("keydown", pressed);

function shown() {
  showWhatNeedsScript();
  showHere();
  foldFilters();
  showSelected();
  showPlaying();
  tellChanges();
}

document.addEventListener("DOMContentLoaded", () => {
  for (const state of ["play", "pause", "ended", "error"]) player().addEventListener(state, showPlaying);
  shown();
});
document.addEventListener("htmx:after:swap", shown);
