// The Inspector's web client as a host: connects, makes a picture in its Apps tab, presses buttons of the card, and
// prints what was seen as JSON. test_inspector.py runs it.
import puppeteer from "puppeteer-core";

const { chromium, url, prompt, sandbox, domain } = JSON.parse(process.argv[2]);
const browser = await puppeteer.launch({
  executablePath: chromium,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-features=IsolateOrigins,site-per-process", "--disable-site-isolation-trials"],
});
setTimeout(() => browser.close().then(() => process.exit(1)), 170000).unref();
const page = await browser.newPage();
const errors = [], asked = [];
page.on("pageerror", error => errors.push(error.message));
page.on("dialog", dialog => { asked.push(dialog.message()); dialog.dismiss(); }); // nothing is saved
await page.setViewport({ width: 1400, height: 1000 });
// The sandbox's links as EvoLink's: its domain is the one that the card's policy names.
await page.evaluateOnNewDocument((from, to) => {
  if (self === top) return;
  addEventListener("message", event => {
    const words = JSON.stringify(event.data);
    if (words?.includes(from)) Object.defineProperty(event, "data", { value: JSON.parse(words.replaceAll(from, to)) });
  }, true);
}, sandbox, domain);
await page.setRequestInterception(true);
page.on("request", async request => {
  if (request.url().startsWith(domain)) {
    const got = await fetch(request.url().replace(domain, sandbox));
    return request.respond({ status: got.status, contentType: got.headers.get("content-type"), body: Buffer.from(await got.arrayBuffer()) });
  }
  return /^(http:\/\/(localhost|127\.0\.0\.1)[:/]|data:|blob:|about:)/.test(request.url()) ? request.continue() : request.abort();
});

async function until(holds, what) {
  for (const end = Date.now() + 120000; Date.now() < end; await new Promise(done => setTimeout(done, 50))) {
    const value = await holds().catch(() => null);
    if (value) return value;
  }
  throw new Error(`${what} did not come: ${await page.evaluate(() => document.body.innerText.slice(0, 2000))}`);
}
const click = (where, selector, words) => until(() => where.evaluate((each, text) => {
  const found = [...document.querySelectorAll(each)].find(one => `${one.textContent} ${one.value} ${one.getAttribute("aria-label")}`.includes(text));
  found?.click();
  return !!found;
}, selector, words), `"${words}"`);

await page.goto(url, { waitUntil: "domcontentloaded" });
await click(page, "input", "Connect or disconnect");
await click(page, "input[type=radio]", "Apps");
await click(page, "button", "Generate image");
const box = await until(async () => (await page.evaluateHandle(() => [...document.querySelectorAll("input")].find(each => each.labels?.[0]?.textContent.startsWith("prompt")))).asElement(), "the prompt's box");
await box.type(prompt);
await click(page, "button", "Open App");
const card = await until(async () => {
  for (const frame of page.frames()) if ((await frame.title().catch(() => "")) === "EvoLink") return frame;
}, "the card");
const says = words => until(async () => { const text = await card.evaluate(() => document.body.innerText); return text.includes(words) && text; }, `"${words}" on the card`);
const waiting = await says("Making your");
await says("is ready");
const picture = await until(() => card.evaluate(() => { const [image] = document.images; return image?.naturalWidth && { src: image.src, alt: image.alt, width: image.naturalWidth }; }), "the picture");
const ready = await says("is ready");
await click(card, "button", "Download");
const refused = await says("Open the link");
process.stdout.write(JSON.stringify({ waiting, ready, picture, asked, refused, errors }));
await browser.close();
