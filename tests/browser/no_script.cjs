// All of it works without JavaScript, too: links and forms.
"use strict";

module.exports = async ({ arrive, assert, env }) => {
  const guest = await arrive({ javaScriptEnabled: false });
  const { page } = guest;
  await guest.logIn(env.OPERATOR);
  await page.click("nav >> text=Podcasts");
  await page.selectOption("#by-status", "failed");
  await page.click("text=Filter");
  assert.match(page.url(), /status=failed/);
  await page.check("tbody tr:first-child input[type=checkbox]");
  await page.click("#selection button[value=requeue]");
  await page.click("#do");
  await page.waitForURL(/\/ops\/operations\/\d+/);
  const isOver = async () => (await page.reload()) && (await page.textContent("#live")).includes("Finished");
  for (let tries = 0; tries < 50 && !(await isOver()); tries += 1);
  assert.match(await page.textContent("#live"), /Finished/);

  await page.click("nav >> text=Schedule");
  await page.click("form[action$='/pause'] button");
  assert.match(await page.textContent("main"), /Paused by/);
  await page.click("#resume");
  assert.doesNotMatch(await page.textContent("main"), /Paused by/);
  guest.isContent("the end");
};
