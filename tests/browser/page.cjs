// What all journeys share: a real Chromium, and what must hold on every page that they come to.
//
// A journey is a module that exports an async function; it is given `Guest`, and fails by throwing.
// `node page.cjs JOURNEY` runs one, told by the environment where the server is and who comes.
"use strict";

const assert = require("node:assert/strict");
const path = require("node:path");
const { createRequire } = require("node:module");

// The packages are where `cargo xtask test` installed them.
const load = createRequire(path.join(process.env.BROWSER_PACKAGES, "package.json"));
const { chromium } = load("playwright-core");
const { AxeBuilder } = load("@axe-core/playwright");

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

// The longest wait for something on a page, in milliseconds: other tests may keep the machine busy.
const PATIENCE = 120_000;

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
  "--autoplay-policy=no-user-gesture-required",
];

// Somebody with a browser of their own. Everything that the browser complains about is kept, and
// everything it would load from elsewhere.
class Guest {
  static async arrive(browser, options = {}) {
    const guest = new Guest();
    guest.base = process.env.BASE;
    guest.complaints = [];
    // A page that is left before its stream has begun says that it could not be fetched.
    guest.expected = ["htmx:error: Failed to fetch"];
    guest.context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    guest.page = await guest.context.newPage();
    guest.page.setDefaultTimeout(PATIENCE);
    guest.page.on("console", (line) => {
      if (["error", "warning"].includes(line.type())) guest.complaints.push(`console: ${line.text()}`);
    });
    guest.page.on("pageerror", (error) => guest.complaints.push(`script: ${error.message}`));
    guest.page.on("request", (request) => {
      const isOurs = request.url().startsWith(guest.base) || request.url().startsWith("data:");
      if (!isOurs && !guest.mayLoad(request.url())) guest.complaints.push(`from elsewhere: ${request.url()}`);
    });
    return guest;
  }

  // Audio is at home in the object store; a page of the academy, at its own address.
  mayLoad(address) {
    return [process.env.STORE, process.env.SITE].some((home) => home && address.startsWith(home));
  }

  async goTo(address) {
    await this.page.goto(this.base + address);
  }

  // Logs in by a token, as people do.
  async logIn(token) {
    await this.goTo("/ops");
    await this.page.fill("input[type=password]", token);
    await this.page.click("form button");
    await this.page.waitForSelector("#live h1");
  }

  // Logs in as a learner, and waits for the player.
  async study(token) {
    await this.goTo("/study/dashboard");
    await this.page.fill("input[type=password]", token);
    await this.page.click("form button");
    await this.page.waitForURL((url) => url.pathname === "/study/dashboard");
  }

  // A part of the player.
  part(name) {
    return this.page.locator(`daily-podcast [data-ui=${name}]`);
  }

  // What the player's audio says of itself.
  async audio(what) {
    return this.part("audio").evaluate((audio, name) => audio[name], what);
  }

  // Waits until the player is at, or beyond, a place; in seconds.
  async plays(from) {
    await this.page.waitForFunction((seconds) => {
      const audio = document.querySelector("daily-podcast").shadowRoot.querySelector("audio");
      return !audio.paused && audio.currentTime > seconds;
    }, from);
  }

  // Another tab is looked at, or this one again, as much later as is said.
  async turn(isAway, laterMs = 0) {
    await this.page.evaluate(([hidden, later]) => {
      const { now } = Date;
      Date.now = () => now() + later;
      Object.defineProperty(document, "hidden", { configurable: true, value: hidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }, [isAway, laterMs]);
  }

  // What must hold on each page, at each size that people have, in both themes.
  async lookAround(what) {
    const size = this.page.viewportSize();
    for (const width of [1280, 390, 320]) {
      await this.page.setViewportSize({ width, height: size.height });
      await this.look(`${what} ${width}`);
    }
    await this.page.setViewportSize(size);
  }

  // What must hold on each page, in both themes.
  async look(what, themes = ["light", "dark"]) {
    const name = `${what} at ${new URL(this.page.url()).pathname}`;
    for (const colorScheme of themes) {
      await this.page.emulateMedia({ colorScheme });
      const { violations } = await new AxeBuilder({ page: this.page }).withTags(RULES).analyze();
      const found = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.target).join(", ")}`);
      assert.deepEqual(found, [], `${name}, ${colorScheme}`);
    }
    await this.page.emulateMedia({ colorScheme: null });
    const surplus = await this.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(surplus <= 0, `${name} is ${surplus} pixels too wide`);
    this.isContent(name);
    if (process.env.PICTURES) {
      const file = name.replace(/[^a-z0-9]+/gi, "-");
      await this.page.screenshot({ path: path.join(process.env.PICTURES, `${file}.png`) });
    }
  }

  // A refusal that belongs to the journey: the browser complains of it, sooner or later.
  expects(status) {
    this.expected.push(`status of ${status}`);
  }

  isContent(name) {
    const isExpected = (line) => this.expected.some((words) => line.includes(words));
    assert.deepEqual(this.complaints.filter((line) => !isExpected(line)), [], name);
  }

  // Waits until the page says something, without being loaded again.
  async until(selector, words) {
    await this.page.waitForFunction(
      ([place, text]) => [...document.querySelectorAll(place)].some((found) => found.textContent.includes(text)),
      [selector, words],
    );
  }
}

async function main() {
  const journey = require(path.join(__dirname, `${process.argv[2]}.cjs`));
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: FLAGS });
  try {
    await journey({ arrive: (options) => Guest.arrive(browser, options), assert, env: process.env });
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
