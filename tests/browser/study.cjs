// A learner listens on one device and goes on with another, reads along, likes, shares and takes that
// back; with the mouse, and with nothing but the keyboard.
"use strict";

const near = (assert, one, other, seconds, what) => assert.ok(Math.abs(one - other) <= seconds, `${what}: ${one} and ${other}`);

// Everything of a listener's first device; returns the place where it was left.
async function onTheSofa(guest, assert) {
  const { page } = guest;
  await guest.part("play").waitFor();
  await guest.lookAround("study");
  await guest.part("play").click();
  await guest.plays(1);
  assert.equal(await guest.audio("preservesPitch"), true);
  await guest.part("seek").fill("60");
  await guest.plays(61);
  assert.match(await guest.part("seek").getAttribute("aria-valuetext"), /^1:0\d of \d:\d\d$/);
  await guest.part("speed").selectOption("1.25");
  assert.equal(await guest.audio("playbackRate"), 1.25);
  const saved = page.waitForResponse((answer) => answer.url().includes("/position/"));
  await guest.part("play").click();
  assert.equal((await saved).status(), 200);
  return guest.audio("currentTime");
}

// The script follows the audio, and a click leads to its place.
async function readAlong(guest, assert) {
  const { page } = guest;
  await guest.part("script").click();
  const paragraphs = page.locator("daily-podcast [part=script] li");
  await paragraphs.first().waitFor();
  assert.ok((await paragraphs.count()) > 2);
  const current = page.locator("daily-podcast [part=script] li[aria-current]");
  await current.waitFor();
  const told = await guest.part("text").evaluate((text) => [...text.querySelectorAll("li")].findIndex((item) => item.ariaCurrent));
  assert.ok(told > 0, "at a minute the first paragraph is over");
  await paragraphs.nth(2).locator("p").click();
  const start = await paragraphs.nth(2).locator("button").textContent();
  const [minutes, seconds] = start.split(":").map(Number);
  near(assert, await guest.audio("currentTime"), minutes * 60 + seconds, 1.5, "a click leads to the paragraph");
  await page.waitForFunction(() => {
    const items = [...document.querySelector("daily-podcast").shadowRoot.querySelectorAll("[part=script] li")];
    return items[2].ariaCurrent === "true" && items.filter((item) => item.ariaCurrent).length === 1;
  });
  await guest.look("script");
}

// No mouse at all.
async function byKeys(guest, assert) {
  const { page } = guest;
  const at = () => page.evaluate(() => document.activeElement.shadowRoot?.activeElement?.dataset.ui);
  for (let steps = 0; (await at()) !== "play"; steps += 1) {
    assert.ok(steps < 30, "the player cannot be reached by Tab");
    await page.keyboard.press("Tab");
  }
  const isPaused = () => guest.audio("paused");
  await page.keyboard.press("Space");
  await guest.plays(0);
  await page.keyboard.press("k");
  assert.equal(await isPaused(), true, "k stops it");
  const before = await guest.audio("currentTime");
  await page.keyboard.press("l");
  near(assert, await guest.audio("currentTime"), before + 15, 1, "l goes on by 15 seconds");
  await page.keyboard.press("j");
  near(assert, await guest.audio("currentTime"), before, 1, "j goes back");
  await guest.part("seek").focus();
  for (const [key, seconds] of [["ArrowRight", 5], ["ArrowDown", -5], ["PageUp", 30], ["PageDown", -30]]) {
    const from = await guest.audio("currentTime");
    await page.keyboard.press(key);
    near(assert, await guest.audio("currentTime"), from + seconds, 1, key);
  }
  await guest.part("play").focus();
  const wasHidden = await guest.part("text").isHidden();
  await page.keyboard.press("s");
  assert.equal(await guest.part("text").isHidden(), !wasHidden, "s shows the script, or hides it");
}

// What others hear by a link, until it is taken back.
async function share(guest, arrive, assert) {
  await guest.part("share").click();
  await guest.part("sharing").waitFor();
  await guest.look("before sharing");
  assert.ok(await guest.part("link").isHidden(), "nothing is shared before it is said what that means");
  await guest.part("copy").click();
  await guest.part("link").waitFor();
  const link = await guest.part("link").inputValue();
  await guest.look("sharing");
  const friend = await arrive({ locale: "fr-FR" });
  await friend.page.goto(link);
  await friend.part("play").waitFor();
  await friend.lookAround("listen");
  assert.ok(await friend.part("like").isHidden() && await friend.part("share").isHidden(), "a friend likes nothing in another's name");
  await friend.part("play").click();
  await friend.plays(1);
  // The same player for another episode plays that one, from its beginning.
  const other = { title: "Another one", date: "2026-01-01", audio_url: `${link}/audio?other` };
  await friend.page.route("**/other.json", (route) => route.fulfill({ json: other }));
  await friend.page.evaluate(() => document.querySelector("daily-podcast").setAttribute("src", "/listen/other.json"));
  await friend.page.waitForFunction(() => document.querySelector("daily-podcast").shadowRoot.querySelector("[part=title]").textContent === "Another one");
  assert.equal(await friend.part("seek").inputValue(), "0");
  await friend.part("play").click();
  await friend.plays(0);
  assert.equal(await friend.part("audio").getAttribute("src"), other.audio_url);
  friend.isContent("the friend");

  await guest.part("stop").click();
  await guest.part("sharing").waitFor({ state: "hidden" });
  const gone = await friend.page.goto(link);
  assert.equal(gone.status(), 410);
  friend.expects(410);
  await friend.look("taken back");
}

// The file is kept, also when its address has ended meanwhile, and the page stays.
async function download(guest, assert) {
  const { page } = guest;
  for (const laterMs of [0, 24 * 60 * 60 * 1000]) {
    await guest.turn(false, laterMs);
    const file = page.waitForEvent("download");
    await guest.part("download").click();
    assert.match((await file).suggestedFilename(), /\.mp3$/);
    assert.equal(new URL(page.url()).pathname, "/study/dashboard");
  }
  await page.reload();
  await guest.part("play").waitFor();
}

// What was heard to its end begins anew, and counts as heard until somebody plays it again.
async function hearToTheEnd(guest, assert) {
  const { page } = guest;
  await guest.part("play").click();
  await guest.plays(0);
  const end = await guest.audio("duration");
  const saved = page.waitForResponse((answer) => answer.url().includes("/position/") && answer.request().postDataJSON().position > end - 1);
  await guest.part("seek").fill(String(Math.floor(end) - 1));
  assert.equal((await saved).status(), 200);

  const isHeard = async () => (await page.locator("#episodes .mark").allTextContents()).includes("Heard");
  const places = [];
  page.on("request", (request) => { if (request.url().includes("/position/")) places.push(request.postData()); });
  for (const look of ["first", "second"]) {
    await page.reload();
    await guest.part("play").waitFor();
    assert.equal(await guest.part("seek").inputValue(), "0", `${look} look`);
    assert.equal(await isHeard(), true, `${look} look`);
    await guest.turn(true);
  }
  assert.deepEqual(places, [], "nobody played anything");
}

// An address that leads nowhere any more, and the way on.
async function lookForWhatIsGone(guest, assert) {
  await guest.goTo("/study/dashboard?episode=999999");
  await guest.part("act").waitFor();
  guest.expects(404);
  await guest.look("gone");
  await guest.part("act").click();
  await guest.plays(0);
  await guest.page.waitForURL((url) => url.search === "");
  assert.equal(await guest.page.locator("#episodes a[aria-current]").count(), 1);
  await guest.part("play").click();
}

// The private feed: another address, and none at all.
async function follow(guest, assert) {
  const { page } = guest;
  const address = page.locator("#feed-address");
  const status = async (url) => (await page.request.get(url)).status();
  const change = async (name) => {
    await page.locator("details", { has: page.locator(`[data-feed=${name}]`) }).locator("summary").click();
    await guest.look(`feed, ${name}`);
    await page.click(`[data-feed=${name}]`);
  };
  await page.click("[data-feed=show]");
  await address.waitFor();
  await guest.lookAround("feed");
  const first = await address.inputValue();
  assert.equal(await status(first), 200);
  await change("rotate");
  await guest.until("#feed .said", "new address");
  const second = await address.inputValue();
  assert.deepEqual([await status(first), await status(second)], [410, 200]);
  await change("close");
  await guest.until("#feed .said", "is closed");
  assert.equal(await status(second), 410);
  assert.ok(await address.isHidden() && await page.locator("[data-feed=show]").isVisible());
}

// Who allows no script hears it and reads along, and finds no button that does nothing.
async function withoutScript(guest, assert, token) {
  const { page } = guest;
  await guest.study(token);
  assert.ok(await page.locator("audio").isVisible());
  await page.click("details summary");
  assert.ok((await page.innerText("details .script")).length > 500);
  assert.ok(await page.locator("[data-feed=show]").isHidden());
  guest.isContent("no script");
}

module.exports = async ({ arrive, assert, env }) => {
  const sofa = await arrive({ permissions: ["clipboard-read", "clipboard-write"] });
  await sofa.study(env.HEARER);
  const left = await onTheSofa(sofa, assert);

  const train = await arrive({ viewport: { width: 390, height: 844 }, hasTouch: true });
  await train.study(env.HEARER);
  await train.part("play").waitFor();
  near(assert, Number(await train.part("seek").inputValue()), left, 2, "it goes on where it was left");
  await train.part("play").click();
  await train.plays(left - 2);
  await train.part("seek").fill("100");
  await train.plays(101);
  // Nobody stops it: the page just goes.
  const away = await train.audio("currentTime");
  await train.goTo("/study/login?");
  await train.part("play").waitFor();
  near(assert, Number(await train.part("seek").inputValue()), away, 2.5, "a page that goes keeps the place");
  train.isContent("the train");

  // A page that was left open learns of it, too, and does not save its older place.
  await sofa.turn(true);
  await sofa.turn(false, 61_000);
  await sofa.page.waitForFunction((at) => Math.abs(document.querySelector("daily-podcast").shadowRoot.querySelector("[part=seek]").value - at) < 2.5, away);

  await sofa.page.reload();
  await sofa.part("play").waitFor();
  near(assert, Number(await sofa.part("seek").inputValue()), away, 2.5, "the other device is ahead");
  assert.equal(await sofa.part("speed").inputValue(), "1.25", "the speed is remembered");
  await sofa.part("play").click();
  await sofa.plays(0);
  await readAlong(sofa, assert);
  await sofa.part("play").click();
  await byKeys(sofa, assert);

  const like = () => sofa.part("like").getAttribute("aria-pressed");
  assert.equal(await like(), "false");
  const liked = sofa.page.waitForResponse((answer) => answer.url().includes("/like/"));
  await sofa.part("like").click();
  assert.equal((await liked).status(), 200);
  await sofa.page.reload();
  await sofa.part("play").waitFor();
  assert.equal(await like(), "true");
  await share(sofa, arrive, assert);
  await download(sofa, assert);
  await hearToTheEnd(sofa, assert);
  await lookForWhatIsGone(sofa, assert);
  await follow(sofa, assert);
  await withoutScript(await arrive({ javaScriptEnabled: false }), assert, env.HEARER);
  sofa.isContent("the end");
};
