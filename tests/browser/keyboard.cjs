// Somebody without a mouse logs in, finds a failed podcast, requeues it and sees it end.
"use strict";

module.exports = async ({ arrive, assert, env }) => {
  const guest = await arrive();
  const { page } = guest;
  const press = (...keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
  // Goes on with Tab until something is in focus, as a person does.
  const tabTo = async (selector) => {
    for (let step = 0; step < 80; step += 1) {
      if (await page.evaluate((place) => Boolean(document.activeElement?.matches(place)), selector)) return;
      await page.keyboard.press("Tab");
    }
    assert.fail(`Tab never comes to ${selector}`);
  };

  await guest.goTo("/ops");
  await tabTo("input[type=password]");
  await page.keyboard.type(env.OPERATOR);
  await press("Enter");
  await page.waitForSelector("#live h1");

  await press("Tab");
  assert.ok(await page.evaluate(() => document.activeElement.matches(".skip")), "the first stop is not the skip link");
  await press("Enter", "g", "p");
  await guest.until("main h1", "Podcasts");
  await press("?");
  await page.waitForSelector("dialog[open]");
  await guest.look("the sheet of keys");
  await press("Escape", "j");
  assert.ok(await page.evaluate(() => Boolean(document.activeElement.closest("tr[data-row]"))), "j comes to no row");
  await press("x");
  await tabTo("#selection button[value=requeue]");
  await press("Enter");
  await guest.until("main", "Nothing is done yet");
  await tabTo("#do");
  await press("Enter");
  await page.waitForURL(/\/ops\/operations\/\d+/);
  await guest.until("#live", "Finished");
  guest.isContent("the end");
};
