// Every page, wide and narrow, in both themes: nothing to complain about for anybody.
"use strict";

module.exports = async ({ arrive, assert }) => {
  for (const width of [1280, 390, 320]) {
    const guest = await arrive({ viewport: { width, height: 800 }, storageState: undefined });
    await guest.logIn(process.env[`LINK_${width}`]);
    const addresses = await guest.page.$$eval("nav a", (links) => links.map((link) => link.getAttribute("href")));
    assert.ok(addresses.length >= 10, `the menu has ${addresses}`);
    for (const address of [...addresses, ...(process.env.PAGES || "").split(" ").filter(Boolean)]) {
      await guest.goTo(address);
      await guest.page.waitForSelector("#live h1");
      await guest.look(`${width}`);
    }
    await guest.context.close();
  }
};
