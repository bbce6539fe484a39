// What a learner sees who has no podcast of today: being made, late, given up, coming tomorrow, or
// nobody who is known. There is always something to hear, or a reason.
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

  // The page again, where the answer says something else; the page before may ask once more, too.
  const tell = async (guest, change, words) => {
    const answer = async (route) => {
      const response = await route.fetch();
      const isNew = response.status() !== 304;
      await route.fulfill({ response, ...(isNew && { json: { ...(await response.json()), ...change } }) });
    };
    await guest.page.route("**/today/", answer);
    await guest.page.reload();
    await said(guest, words);
    await guest.page.unroute("**/today/", answer);
  };

  const missed = await sees(env.MISSED, "could not be made");
  assert.ok(await missed.part("play").isVisible(), "the latest one can be heard");
  assert.ok(await missed.part("act").isHidden(), "nothing is promised");
  await missed.lookAround("missed");
  missed.isContent("missed");

  const making = await sees(env.MAKING, "is being made");
  await making.lookAround("being made");
  await tell(making, { late: true }, "is taking longer than usual");
  await tell(making, { late: false }, "is being made");
  await making.part("play").click();
  await making.plays(0);
  making.isContent("being made");

  const tomorrow = await sees(env.TOMORROW, "comes tomorrow");
  await tomorrow.lookAround("tomorrow");
  await tell(tomorrow, { next_available_at: "2099-01-01T06:00:00Z" }, "You can ask for one more from");
  assert.ok(await tomorrow.part("act").isHidden(), "it cannot be asked for yet");
  await tell(tomorrow, { next_available_at: null }, "comes tomorrow");
  await tomorrow.part("act").waitFor();
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
  assert.ok([200, 304].includes((await told).status()));
  tomorrow.isContent("tomorrow");

  // A session that ends while the page is open leads to the log-in, and back.
  await tomorrow.context.clearCookies();
  await tomorrow.page.waitForURL((url) => url.pathname === "/study/login");
  tomorrow.expects(401);
  await tomorrow.look("log-in");
};
