// Everything that failed for one cause is requeued, and nothing else.
"use strict";

module.exports = async ({ arrive, env }) => {
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
  await guest.page.waitForSelector(`#cause-${env.CAUSE}`, { state: "detached" });
  await guest.page.click("nav >> text=Audit");
  await guest.until("#live", "requeue");
  guest.isContent("the end");
};
