// What a learner sees who has no podcast of today yet: being made, coming tomorrow, late, or nobody
// who is known. There is always something to hear, or a reason.
"use strict";

module.exports = async ({ arrive, assert, env }) => {
  const said = (guest, words) => guest.page.waitForFunction((text) => {
    const note = document.querySelector("daily-podcast").shadowRoot.querySelector("[part=note]");
    return !note.hidden && note.textContent.includes(text);
  }, words);
  const sees = async (token, words, options) => {
    const guest = await arrive(options);
    await guest.study(token);
    await said(guest, words);
    return guest;
  };

  const late = await sees(env.LATE, "is late");
  assert.ok(await late.part("play").isVisible(), "the latest one can be heard");
  await late.lookAround("late");
  late.isContent("late");

  const making = await sees(env.MAKING, "is being made");
  await making.lookAround("being made");
  await making.part("play").click();
  await making.plays(0);
  making.isContent("being made");

  const tomorrow = await sees(env.TOMORROW, "comes tomorrow");
  await tomorrow.lookAround("tomorrow");
  // Counts the waits of the player that are over.
  await tomorrow.page.evaluate(() => {
    const wait = window.setTimeout;
    window.over = 0;
    window.setTimeout = (act, ms) => wait(() => { act(); if (ms >= 3000) window.over += 1; }, ms);
  });
  const asked = tomorrow.page.waitForResponse((answer) => answer.url().includes("/generate/"));
  await tomorrow.part("act").click();
  assert.equal((await asked).status(), 202);
  await said(tomorrow, "is being made");
  // Who looks at another tab while it is time to ask is told on the way back.
  await tomorrow.turn(true);
  const before = await tomorrow.page.evaluate(() => window.over);
  await tomorrow.page.waitForFunction((count) => window.over > count, before);
  const told = tomorrow.page.waitForResponse((answer) => answer.url().includes("/today/"));
  await tomorrow.turn(false);
  assert.equal((await told).ok(), true);
  tomorrow.isContent("tomorrow");

  // A session that ends while the page is open leads to the log-in, and back.
  await tomorrow.context.clearCookies();
  await tomorrow.page.waitForURL((url) => url.pathname === "/study/login");
  tomorrow.expects(401);
  await tomorrow.look("log-in");
};
