// Every page, wide and narrow, in both themes: nothing to complain about for anybody.
"use strict";

module.exports = async ({ arrive, assert, env }) => {
  for (const [width, themes] of [[1280, ["light", "dark"]], [390, ["light"]], [320, ["dark"]]]) {
    const guest = await arrive({ viewport: { width, height: 800 } });
    await guest.logIn(env.OPERATOR);
    const menu = await guest.page.$$eval("nav[aria-label=Main] a", (links) => links.map((link) => link.getAttribute("href")));
    assert.ok(menu.length >= 10, `the menu has ${menu}`);
    for (const address of [...menu, ...env.PAGES.split(" ")]) {
      await guest.goTo(address);
      await guest.page.waitForSelector("main h1");
      await guest.look(`${width}`, themes);
    }
  }
};
