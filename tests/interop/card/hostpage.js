// A host of MCP Apps made of the official AppBridge. Bundled for the browser by host.mjs.
import { AppBridge, PostMessageTransport } from "@modelcontextprotocol/ext-apps/app-bridge";

window.asked = [];
window.sizes = [];
window.mount = async ({ html, csp, input, result, proxy, width, context, capabilities, refused }) => {
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts allow-same-origin allow-forms");
  frame.style.cssText = `border:0;display:block;width:${width}px;height:300px`;
  const ready = new Promise(done => addEventListener("message", event => {
    if (event.source === frame.contentWindow && event.data?.method === "ui/notifications/sandbox-proxy-ready") done();
  }));
  frame.src = `${proxy}?csp=${encodeURIComponent(JSON.stringify(csp))}`;
  document.body.append(frame);
  await ready;
  const bridge = new AppBridge(null, { name: "Host", version: "1" }, capabilities, { hostContext: context });
  const record = kind => async params => { window.asked.push([kind, params]); return refused.includes(kind) ? { isError: true } : {}; };
  if (capabilities.serverTools) bridge.oncalltool = params => window.ask("callTool", params);
  if (capabilities.serverResources) bridge.onreadresource = params => window.ask("readResource", params);
  bridge.onopenlink = record("open");
  bridge.ondownloadfile = record("download");
  bridge.onmessage = record("message");
  bridge.onsizechange = size => { window.sizes.push(size); frame.style.height = `${size.height}px`; };
  const initialized = new Promise(done => { bridge.oninitialized = done; });
  await bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
  await bridge.sendSandboxResourceReady({ html, csp });
  await initialized;
  await bridge.sendToolInput({ arguments: input });
  if (result) await bridge.sendToolResult(result);
  window.bridge = bridge;
};
