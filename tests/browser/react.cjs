// The component in a page of somebody else: built by Vite, rendered by React, at another origin, under
// a strict policy. The token is given as a property, by an effect, before the element is defined.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const os = require("node:os");
const path = require("node:path");
const { pathToFileURL } = require("node:url");

const APP = `
import { StrictMode, useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";

function Podcast({ token, onProgress }) {
  const element = useRef(null);
  useEffect(() => { element.current.token = token; }, [token]);
  useEffect(() => {
    const podcast = element.current;
    const heard = (event) => onProgress(event.detail.position);
    podcast.addEventListener("podcast:progress", heard);
    return () => podcast.removeEventListener("podcast:progress", heard);
  }, [onProgress]);
  return <daily-podcast ref={element} lang="de" theme="light" />;
}

function Page() {
  const [heard, setHeard] = useState(0);
  const [isShown, show] = useState(true);
  useEffect(() => { import(/* @vite-ignore */ __BASE__ + "/static/daily-podcast.js"); }, []);
  return (
    <main>
      <h1>Academy</h1>
      <p id="heard">{Math.floor(heard)}</p>
      <button id="switch" onClick={() => show(!isShown)}>Podcast</button>
      {isShown && <Podcast token={window.academyToken} onProgress={setHeard} />}
    </main>
  );
}

createRoot(document.getElementById("root")).render(<StrictMode><Page /></StrictMode>);
`;

const INDEX = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Academy</title><link rel="icon" href="data:,"></head><body><div id="root"></div><script type="module" src="/main.jsx"></script></body></html>`;

async function build(folder, env) {
  fs.symlinkSync(path.join(env.BROWSER_PACKAGES, "node_modules"), path.join(folder, "node_modules"));
  fs.writeFileSync(path.join(folder, "main.jsx"), APP);
  fs.writeFileSync(path.join(folder, "index.html"), INDEX);
  const entry = path.join(env.BROWSER_PACKAGES, "node_modules/vite/dist/node/index.js");
  const { build: make } = await import(pathToFileURL(entry));
  await make({ root: folder, configFile: false, logLevel: "error", define: { __BASE__: JSON.stringify(env.BASE) } });
  return path.join(folder, "dist");
}

// Serves the built page as strictly as a page can be served.
function serve(dist, env) {
  const policy = `default-src 'none'; script-src 'self' ${env.BASE}; style-src 'self'; connect-src ${env.BASE}; media-src ${env.BASE} ${env.STORE}; img-src ${env.BASE} data:`;
  const kinds = { ".html": "text/html; charset=utf-8", ".js": "text/javascript" };
  const server = http.createServer((request, response) => {
    const asked = new URL(request.url, env.SITE).pathname;
    const file = path.join(dist, asked === "/" ? "index.html" : path.normalize(asked));
    if (!fs.existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { "Content-Type": kinds[path.extname(file)] ?? "application/octet-stream", "Content-Security-Policy": policy });
    return response.end(fs.readFileSync(file));
  });
  return new Promise((resolve) => { server.listen(Number(new URL(env.SITE).port), "127.0.0.1", () => resolve(server)); });
}

module.exports = async ({ arrive, assert, env }) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "dailycast-react-"));
  let server;
  try {
    server = await serve(await build(folder, env), env);
    const guest = await arrive();
    const { page } = guest;
    await page.addInitScript((token) => { window.academyToken = token; }, env.HEARER);
    await page.goto(env.SITE);
    await guest.part("play").waitFor();
    assert.ok(!(await page.content()).includes(env.HEARER), "the token is in the page");
    assert.equal(await guest.part("play").getAttribute("aria-label"), "Abspielen");
    const radius = await page.evaluate(() => getComputedStyle(document.querySelector("daily-podcast").shadowRoot.querySelector("article")).borderRadius);
    assert.equal(radius, "28px", "the policy lets the styles through");
    await guest.lookAround("react");

    await guest.part("play").click();
    await guest.plays(2);
    await page.waitForFunction(() => Number(document.getElementById("heard").textContent) >= 2);
    // Moved to another place it plays on.
    await page.evaluate(() => { const podcast = document.querySelector("daily-podcast"); podcast.parentElement.append(podcast); });
    await guest.plays(3);
    // Two of them do not play at once.
    await page.evaluate((token) => {
      const second = document.createElement("daily-podcast");
      second.token = token;
      second.id = "second";
      document.querySelector("main").append(second);
    }, env.HEARER);
    await page.locator("#second [data-ui=play]").click();
    await page.waitForFunction(() => document.querySelector("daily-podcast").shadowRoot.querySelector("audio").paused);
    await page.evaluate(() => document.getElementById("second").remove());

    // Taken away it falls silent and keeps its place; back again it goes on there.
    await guest.part("play").click();
    await guest.part("seek").fill("50");
    await guest.plays(51);
    const audio = await page.evaluateHandle(() => document.querySelector("daily-podcast").shadowRoot.querySelector("audio"));
    const saved = page.waitForResponse((answer) => answer.url().includes("/position/") && answer.request().method() === "PUT");
    await page.click("#switch");
    assert.equal((await saved).status(), 200);
    assert.equal(await audio.evaluate((element) => element.paused), true);
    await page.click("#switch");
    await guest.part("play").waitFor();
    const at = Number(await guest.part("seek").inputValue());
    assert.ok(at >= 50 && at < 60, `it begins at ${at}`);
    guest.isContent("the end");

    // Whoever builds a page that may not ask is told what may be missing.
    const warning = page.waitForEvent("console", (line) => line.type() === "warning" && line.text().includes("cors_origins"));
    await page.evaluate((token) => {
      const lost = document.createElement("daily-podcast");
      lost.setAttribute("api-base", "http://127.0.0.1:9");
      lost.token = token;
      document.querySelector("main").append(lost);
    }, env.HEARER);
    await warning;
  } finally {
    server?.close();
    server?.closeAllConnections();
    fs.rmSync(folder, { recursive: true, force: true });
  }
};
