// The learner's page beside its player: choosing an episode, and the address of the private feed.

const player = document.querySelector("daily-podcast");

// A session that has ended begins again at the log-in, and leads back here.
const logIn = () => location.assign(`/study/login?next=${encodeURIComponent(location.pathname + location.search)}`);
player.addEventListener("podcast:error", (event) => {
  if (event.detail.reason === "login") logIn();
});

// --- Episodes -----------------------------------------------------------------------------------

const list = document.querySelector("[aria-labelledby=earlier]");
const links = () => [...list.querySelectorAll("a")];

const mark = (link) => {
  for (const other of links()) {
    if (other === link) other.setAttribute("aria-current", "true");
    else other.removeAttribute("aria-current");
  }
};

const show = (link) => {
  mark(link);
  if (link?.dataset.episode) player.setAttribute("episode", link.dataset.episode);
  else player.removeAttribute("episode");
};

list.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  event.preventDefault();
  history.pushState(null, "", link.href);
  show(link);
  player.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  player.play();
  player.focus({ preventScroll: true });
});

addEventListener("popstate", () => show(links().find((link) => link.href === location.href)));

// Who was led to one that is gone went on with today's.
player.addEventListener("podcast:play", () => {
  if (player.hasAttribute("episode") || !location.search) return;
  history.replaceState(null, "", location.pathname);
  mark(links().find((link) => link.dataset.episode === ""));
});

// One that was made while the page was open is in the list of a page of now.
player.addEventListener("podcast:ready", async () => {
  const answer = await fetch(location.href).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[aria-labelledby=earlier]");
  if (fresh) list.replaceChildren(...fresh.children);
});

// --- The feed -----------------------------------------------------------------------------------

const feed = document.getElementById("feed");
const part = (name) => feed.querySelector(`[data-feed="${name}"]`);
const address = feed.querySelector("input");
const said = feed.querySelector(".said");

// Shows the address that there is after a request; none, when it was closed.
const ask = async (path, method, words = "") => {
  said.textContent = "";
  try {
    const answer = await fetch(`/api/dailycast/feed/${path}`, { method });
    if (answer.status === 401) return logIn();
    if (!answer.ok) throw new Error(answer.status);
    const { url } = answer.status === 204 ? { url: "" } : await answer.json();
    address.value = url;
    part("open").href = url.replace(/^https?:/, "podcast:");
    part("show").hidden = url !== "";
    part("shown").hidden = url === "";
    for (const change of feed.querySelectorAll("details")) change.open = false;
    (url ? address : part("show")).focus();
    said.textContent = words;
  } catch {
    said.textContent = feed.dataset.failed;
  }
};

part("show").hidden = false;
part("show").addEventListener("click", () => ask("", "GET"));
part("rotate").addEventListener("click", () => ask("rotate/", "POST", feed.dataset.made));
part("close").addEventListener("click", () => ask("", "DELETE", feed.dataset.closed));
part("copy").addEventListener("click", async () => {
  address.select();
  await navigator.clipboard?.writeText(address.value).then(() => { said.textContent = feed.dataset.copied; }, () => {});
});
address.addEventListener("focus", () => address.select());
