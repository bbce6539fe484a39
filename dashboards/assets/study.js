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

const show = (link) => {
  for (const other of links()) {
    if (other === link) other.setAttribute("aria-current", "true");
    else other.removeAttribute("aria-current");
  }
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
if (feed) {
  const part = (name) => feed.querySelector(`[data-feed="${name}"]`);
  const address = feed.querySelector("input");
  const sure = document.getElementById("feed-sure");
  const say = (words) => { feed.querySelector(".said").textContent = words; };

  const ask = async (path, method, words) => {
    try {
      const answer = await fetch(path, { method });
      if (answer.status === 401) { logIn(); return false; }
      if (!answer.ok) throw new Error(answer.status);
      const { url } = await answer.json();
      address.value = url;
      part("open").href = url.replace(/^https?:/, "podcast:");
      part("show").hidden = true;
      part("shown").hidden = false;
      say(words);
      return true;
    } catch {
      say(feed.dataset.failed);
      return false;
    }
  };
  const askAgain = (is_open) => {
    sure.hidden = !is_open;
    part("renew").setAttribute("aria-expanded", String(is_open));
    (is_open ? part("rotate") : part("renew")).focus();
  };

  part("show").addEventListener("click", async () => {
    if (await ask("/api/dailycast/feed/", "GET", "")) address.focus();
  });
  part("copy").addEventListener("click", async () => {
    address.select();
    await navigator.clipboard?.writeText(address.value).then(() => say(feed.dataset.copied), () => {});
  });
  part("renew").addEventListener("click", () => askAgain(sure.hidden));
  part("keep").addEventListener("click", () => askAgain(false));
  part("rotate").addEventListener("click", async () => {
    if (await ask("/api/dailycast/feed/rotate/", "POST", feed.dataset.made)) askAgain(false);
  });
  address.addEventListener("focus", () => address.select());
}
