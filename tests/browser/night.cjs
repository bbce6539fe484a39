// A night goes from nothing to done under the eyes of somebody who loads no page again.
"use strict";

module.exports = async ({ arrive, assert, env }) => {
  const guest = await arrive();
  await guest.logIn(env.OPERATOR);
  await guest.page.evaluate(() => { window.sameDocument = true; });
  await guest.look("before the night");

  const other = await arrive();
  await other.logIn(env.OPERATOR);
  await other.goTo("/ops/schedule");
  await other.look("schedule");
  await other.page.click("form[action$='/run'] button");

  await guest.until("#live", `of ${env.LEARNERS}`);
  await guest.until("#live .figures .value", `${env.LEARNERS} of ${env.LEARNERS}`);
  assert.ok(await guest.page.evaluate(() => window.sameDocument), "the page was loaded again");
  await guest.look("after the night");
  other.isContent("other");
};
