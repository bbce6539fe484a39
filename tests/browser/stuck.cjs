// Somebody finds a stuck podcast, reads why, requeues it and sees it end.
"use strict";

module.exports = async ({ arrive, assert, env }) => {
  const guest = await arrive();
  await guest.logIn(env.OPERATOR);
  await guest.page.click("nav >> text=Podcasts");
  await guest.page.click("nav[aria-label='Saved views'] >> text=Stuck");
  await guest.page.waitForSelector(`#podcast-${env.PODCAST}`);
  await guest.look("stuck podcasts");
  await guest.page.click(`#open-${env.PODCAST}`);
  await guest.until("#explanation", env.WORKER);
  await guest.until(".pill", "Stuck");
  await guest.look("a stuck podcast");

  await guest.page.click("#requeue");
  await guest.until("main", "Nothing is done yet");
  await guest.page.fill("#reason", "its worker hangs");
  await guest.page.click("#do");
  await guest.page.waitForURL(/\/ops\/operations\/\d+/);
  await guest.until("#live", "Finished");

  await guest.goTo(`/ops/podcasts/${env.PODCAST}`);
  await guest.page.evaluate(() => { window.sameDocument = true; });
  await guest.until("#live .pill", "Ready");
  assert.ok(await guest.page.evaluate(() => window.sameDocument), "the page was loaded again");
  await guest.until("#timeline", "requeued");
  await guest.look("the podcast that goes on");
};
