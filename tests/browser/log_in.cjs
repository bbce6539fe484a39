// Who may come in, how, and what they are told.
"use strict";

module.exports = async ({ arrive, assert, env }) => {
  const operator = await arrive();
  await operator.goTo("/ops/podcasts?status=failed");
  await operator.page.waitForSelector("input[type=password]");
  await operator.look("log-in");

  await operator.page.fill("input[type=password]", "0".repeat(40));
  await operator.page.keyboard.press("Enter");
  await operator.until("main", "Nobody has this token");
  operator.expects(401);

  await operator.page.fill("input[type=password]", env.OPERATOR);
  await operator.page.keyboard.press("Enter");
  // It goes on where it was stopped.
  await operator.page.waitForURL((url) => url.pathname === "/ops/podcasts" && url.search === "?status=failed");
  const cookies = await operator.context.cookies();
  const session = cookies.find((cookie) => cookie.httpOnly);
  assert.ok(session && ["Lax", "Strict"].includes(session.sameSite), JSON.stringify(cookies));

  // Who may only look finds nothing that changes anything.
  const viewer = await arrive();
  await viewer.logIn(env.VIEWER);
  for (const address of ["/ops", "/ops/schedule", "/ops/providers", "/ops/podcasts"]) {
    await viewer.goTo(address);
    const forms = await viewer.page.$$eval("main form[method=post]", (found) => found.length);
    assert.equal(forms, 0, `${address} offers a viewer something`);
  }
  viewer.isContent("viewer");

  // A learner is no staff, and is told so in words.
  const learner = await arrive();
  await learner.goTo("/ops/login");
  await learner.page.fill("input[type=password]", env.LEARNER);
  await learner.page.keyboard.press("Enter");
  await learner.until("main", "staff");

  // A link lets in at once, and the way back does not stop at it.
  for (const [link, home] of [[env.OPERATORS_LINK, "/ops"], [env.LEARNERS_LINK, "/study/dashboard"]]) {
    const guest = await arrive();
    await guest.goTo("/docs");
    await guest.page.goto(env.BASE + link);
    await guest.page.waitForURL((url) => url.pathname === home);
    await guest.page.goBack();
    await guest.page.waitForURL((url) => url.pathname === "/docs");
    guest.isContent(`who followed a link to ${home}`);
  }

  await operator.page.click("text=Log out");
  await operator.page.waitForSelector("input[type=password]");
  await operator.goTo("/ops");
  await operator.page.waitForSelector("input[type=password]");
  operator.isContent("operator");
};
