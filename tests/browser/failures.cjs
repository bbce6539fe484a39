// Everything that failed for one cause is requeued, and nothing else.
"use strict";

module.exports = async ({ arrive, assert, env }) => {
  const guest = await arrive();
  await guest.logIn(env.OPERATOR);
  await guest.page.click("nav >> text=Failures");
  await guest.until("#live h1", "Failures");
  await guest.look("failures");
  await guest.page.click(`#cause-${env.CAUSE} a[href*="verb=requeue"]`);
  await guest.until("#do", `${env.FAILED} podcasts`);
  await guest.look("preview");
  await guest.page.click("#do");
  await guest.page.waitForURL(/\/ops\/operations\/\d+/);
  await guest.until("#live", "Finished");
  await guest.look("operation");

  await guest.page.click("nav >> text=Failures");
  await guest.page.waitForSelector(`#cause-${env.OTHER_CAUSE}`);
  assert.equal(await guest.page.$(`#cause-${env.CAUSE}`), null, "the cause is still there");
  await guest.page.click("nav >> text=Audit");
  await guest.until("#live", "requeue");
  guest.isContent("the end");
};
