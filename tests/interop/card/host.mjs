// A chat with a browser: one JSON command a line on stdin, one answer a line on stdout. ../card/browser.py speaks to it.
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";
import esbuild from "esbuild";
import puppeteer from "puppeteer-core";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const { chromium, url, key } = JSON.parse(process.argv[2]);
const HERE = path.dirname(fileURLToPath(import.meta.url));
const MIME = "text/html;profile=mcp-app";
const built = await esbuild.build({ entryPoints: [path.join(HERE, "hostpage.js")], bundle: true, write: false, format: "iife", platform: "browser" });
const bundle = built.outputFiles[0].text.replaceAll("</script", "<\\/script");

// The frame between host and card, as hosts have it: another origin, whose policy is the specification's.
const PROXY = `<!doctype html><body style="margin:0"><script>
const inner = document.createElement("iframe");
inner.setAttribute("sandbox", "allow-scripts allow-same-origin allow-forms");
inner.style.cssText = "border:0;display:block;width:100%;height:100vh";
document.body.append(inner);
addEventListener("message", ({ source, data }) => {
  if (source === inner.contentWindow) return parent.postMessage(data, "*");
  if (source !== parent) return;
  if (data?.method !== "ui/notifications/sandbox-resource-ready") return inner.contentWindow.postMessage(data, "*");
  inner.contentDocument.open(); inner.contentDocument.write(data.params.html); inner.contentDocument.close();
});
parent.postMessage({ jsonrpc: "2.0", method: "ui/notifications/sandbox-proxy-ready", params: {} }, "*");
</script>`;
const policy = ({ resourceDomains = [], data = "data:" }) => {
  const domains = resourceDomains.join(" ");
  return `default-src 'none'; script-src 'self' 'unsafe-inline' ${domains}; style-src 'self' 'unsafe-inline' ${domains}; `
    + `img-src 'self' ${data} ${domains}; media-src 'self' data: ${domains}; font-src 'self' ${domains}; frame-src 'self'; base-uri 'none'`;
};
const serve = handle => new Promise(done => { const server = http.createServer(handle).listen(0, "127.0.0.1", () => done(server)); });
const outer = await serve((request, response) => {
  response.setHeader("content-type", "text/html");
  response.end(`<!doctype html><meta charset="utf-8"><body style="margin:0"><script>${bundle}</script>`);
});
const proxy = await serve((request, response) => {
  const csp = JSON.parse(new URL(request.url, "http://x").searchParams.get("csp"));
  response.setHeader("content-type", "text/html; charset=utf-8");
  response.setHeader("content-security-policy", policy(csp));
  response.end(PROXY);
});

const clients = {};
async function connect(mode, apps) {
  const name = `${mode} ${apps}`;
  if (clients[name]) return clients[name];
  const extensions = { "io.modelcontextprotocol/ui": { mimeTypes: [MIME] } };
  const client = new Client({ name: "host", version: "1" }, { capabilities: apps ? { extensions } : {}, ...(mode === "auto" ? { versionNegotiation: { mode } } : {}) });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers: { authorization: `Bearer ${key}` } } }));
  return clients[name] = client;
}

const browser = await puppeteer.launch({
  executablePath: chromium,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required", "--disable-features=IsolateOrigins,site-per-process", "--disable-site-isolation-trials"],
});
let page, frame, calls, trouble;

const paint = theme => page.evaluate(colour => { document.body.style.background = colour; }, theme === "dark" ? "#16181b" : "#fff");
const text = () => frame.evaluate(() => document.body.innerText);
async function until(holds, what, seconds = 120) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const value = await holds().catch(() => null);
    if (value) return value;
    if (Date.now() > end) throw new Error(`${what} did not come. The card says: ${frame ? await text().catch(() => "") : "nothing"}. Trouble: ${JSON.stringify(trouble)}`);
    await new Promise(done => setTimeout(done, 50));
  }
}

const COMMANDS = {
  async call({ mode = "auto", apps = true, method, params }) {
    return (await connect(mode, apps))[method](params);
  },
  // Mounts the card for a call: its result is made by the server, or given.
  async open({ mode = "auto", tool = "generate_image", input = {}, result, width = 600, theme = "light", domains = true, data = true, refused = [], without = [], context = {}, ahead = 0, before = "", reduced = false, patch = {} }) {
    if (page) await page.close();
    const client = await connect(mode, true);
    const listed = (await client.listTools()).tools.find(each => each.name === tool);
    const { contents: [card] } = await client.readResource({ uri: listed._meta.ui.resourceUri });
    const change = value => {
      let words = JSON.stringify(value);
      for (const [from, to] of Object.entries(patch)) words = words.replaceAll(from, to);
      return JSON.parse(words);
    };
    const answer = change(result ?? await client.callTool({ name: tool, arguments: input }));
    calls = []; trouble = [];
    page = await browser.newPage();
    await page.setViewport({ width, height: 900 });
    await page.emulateMediaFeatures([{ name: "prefers-reduced-motion", value: reduced ? "reduce" : "no-preference" }]);
    page.on("pageerror", error => trouble.push(`error: ${error.message}`));
    page.on("console", message => message.type() === "error" && trouble.push(`console: ${message.text()}`));
    page.on("dialog", dialog => { trouble.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    if (ahead) await page.evaluateOnNewDocument(ms => { const now = Date.now.bind(Date); Date.now = () => now() + ms; }, ahead * 1000);
    // EvoLink's own domain, as far as this machine goes: its files are the sandbox's.
    const names = Object.entries(patch);
    await page.setRequestInterception(true);
    page.on("request", async request => {
      const real = names.find(([, name]) => request.url().startsWith(name));
      if (!real) return request.url().startsWith("http://127.0.0.1") || request.url().startsWith("http://localhost") || request.url().startsWith("data:") ? request.continue() : (trouble.push(`request: ${request.url()}`), request.abort());
      const got = await fetch(request.url().replace(real[1], real[0]));
      await request.respond({ status: got.status, contentType: got.headers.get("content-type"), body: Buffer.from(await got.arrayBuffer()) });
    });
    await page.exposeFunction("ask", async (method, params) => { calls.push([method, params]); return change(await client[method](params)); });
    await page.goto(`http://127.0.0.1:${outer.address().port}/`);
    const capabilities = { openLinks: {}, downloadFile: {}, serverTools: {}, serverResources: {}, logging: {}, message: { text: {} } };
    for (const name of without) delete capabilities[name];
    await page.evaluate(given => window.mount(given), {
      html: before + card.text,
      csp: { ...(domains ? card._meta.ui.csp : {}), ...(data ? {} : { data: "" }) },
      refused,
      input, result: answer, width, capabilities,
      proxy: `http://localhost:${proxy.address().port}/`,
      context: { theme, displayMode: "inline", availableDisplayModes: ["inline"], locale: "en-US", ...context },
    });
    await paint(theme);
    frame = page.frames().find(each => each.parentFrame()?.parentFrame());
    return { result: answer, uri: listed._meta.ui.resourceUri, bytes: Buffer.byteLength(card.text), mimeType: card.mimeType, meta: card._meta };
  },
  async until({ words, script, seconds }) {
    return until(async () => (words ? (await text()).includes(words) : await frame.evaluate(script)), words || script, seconds);
  },
  async text() { return text(); },
  async click({ label }) {
    await until(() => frame.evaluate(name => {
      const found = [...document.querySelectorAll("button")].find(each => each.textContent.includes(name) || each.getAttribute("aria-label")?.includes(name));
      if (found) found.click();
      return !!found;
    }, label), `a button "${label}"`);
    return true;
  },
  async run({ script }) { return frame.evaluate(script); },
  async host({ script }) { return page.evaluate(script); },
  async keys({ keys }) {
    for (const name of keys) await page.keyboard.press(name);
    return frame.evaluate(() => document.activeElement?.textContent || document.activeElement?.tagName);
  },
  async calls() { return calls; },
  async asked({ count = 1 }) {
    await until(async () => (await page.evaluate(() => window.asked.length)) >= count, `${count} requests to the host`);
    return page.evaluate(() => window.asked);
  },
  async trouble() { return trouble; },
  async shoot({ file }) {
    const box = await page.$("iframe");
    await box.screenshot({ path: file });
    return fs.statSync(file).size;
  },
  async resize({ width }) {
    await page.setViewport({ width, height: 900 });
    return page.evaluate(pixels => { document.querySelector("iframe").style.width = `${pixels}px`; }, width);
  },
  async dress({ theme }) {
    await paint(theme);
    return page.evaluate(name => window.bridge.setHostContext({ theme: name }), theme);
  },
  async context({ context }) { return page.evaluate(more => window.bridge.setHostContext(more), context); },
  async teardown() { return page.evaluate(() => window.bridge.teardownResource({})); },
  async send({ method, params }) { return page.evaluate((name, given) => window.bridge[name](given), method, params); },
};

process.stdout.write("ready\n");
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { do: name, ...given } = JSON.parse(line);
  let answer;
  try { answer = { answer: await COMMANDS[name](given) ?? null } } catch (error) { answer = { error: String(error?.stack || error) } }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
for (const client of Object.values(clients)) await client.close();
outer.closeAllConnections(); proxy.closeAllConnections();
process.exit(0);
