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
  for (const hidden of document.querySelectorAll("[data-theme-switch][hidden]")) hidden.hidden = false;
}

// One player for all pages. It lies outside of what is swapped, so it goes on.
function play(button) {
  const [dock, player] = [document.getElementById("dock"), document.getElementById("player")];
  player.src = button.dataset.play;
  document.getElementById("player-title").textContent = button.dataset.title || "";
  dock.hidden = false;
  player.play().catch(() => {});
}

function closePlayer() {
  const player = document.getElementById("player");
  player.pause();
  player.removeAttribute("src");
  document.getElementById("dock").hidden = true;
}

document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-theme-switch], [data-play], [data-player-close]");
  if (!target) return;
  if (target.matches("[data-theme-switch]")) switchTheme();
  else if (target.matches("[data-player-close]")) closePlayer();
  else {
    event.preventDefault();
    play(target);
  }
});

document.addEventListener("DOMContentLoaded", showWhatNeedsScript);
document.addEventListener("htmx:after:swap", showWhatNeedsScript);
