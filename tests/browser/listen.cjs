// A podcast plays on while the page changes and while somebody goes from page to page; what they
// hold stays as it is.
"use strict";

module.exports = async ({ arrive, assert, env }) => {
  const guest = await arrive();
  const { page } = guest;
  await guest.logIn(env.OPERATOR);
  await page.click("nav >> text=Podcasts");
  await page.waitForSelector("[data-play]");

  const place = () => page.evaluate(() => document.getElementById("player").currentTime);
  const playsOn = async (what) => {
    const before = await place();
    await page.waitForFunction((seconds) => document.getElementById("player").currentTime > seconds + 0.5, before);
    assert.ok(await page.evaluate(() => document.getElementById("player") === window.firstPlayer), `${what}: another player`);
  };
  await page.evaluate(() => { window.firstPlayer = document.getElementById("player"); });
  await page.click("[data-play]");
  await playsOn("at first");

  // Rows change every moment (somebody else sees to that). What is held is not let go.
  const [first] = await page.$$("input[name=id][form=selection]");
  await first.check();
  await page.focus("#by-id");
  await page.keyboard.type("12");
  const cost = () => page.$eval("tr[data-row] td:last-child", (cell) => cell.textContent);
  const before = await cost();
  await page.waitForFunction((old) => document.querySelector("tr[data-row] td:last-child").textContent !== old, before);
  assert.equal(await page.inputValue("#by-id"), "12");
  assert.equal(await page.evaluate(() => document.activeElement.id), "by-id");
  assert.ok(await first.isChecked(), "what was selected is not any more");
  await playsOn("while rows change");
  await guest.look("listening");

  await page.click("nav >> text=Nights");
  await guest.until("#live h1", "Nights");
  await playsOn("on another page");
  await page.goBack();
  await guest.until("main h1", "Podcasts");
  await playsOn("after going back");
  await page.goForward();
  await guest.until("main h1", "Nights");
  await playsOn("after going on");
  await page.click("[data-player-close]");
  assert.ok(await page.evaluate(() => window.firstPlayer.paused));
  guest.isContent("the end");
};
