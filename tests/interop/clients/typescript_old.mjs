// The whole job by the TypeScript SDK 1.11, which knows no structured content: all is read from the text.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { job, transport, wholeJob } from './typescript.mjs';

function task({ content: [block, ...rest] }) {
  if (rest.length) throw new Error(`more content than a text: ${JSON.stringify(rest)}`);
  const [, task_id, status] = block.text.match(/task (task-\S+): (\w+)/);
  const results = [...block.text.matchAll(/^Result \d+: (\S+) \(([\w/]+)/gm)];
  return { task_id, status, results: results.map(([, url, mime_type]) => ({ url, mime_type })) };
}

// Its SSE stream is opened without the headers of requestInit.
const fetchWithKey = (url, init) => fetch(url, { ...init, headers: { ...init?.headers, ...job.headers } });
const client = new Client({ name: 'interop', version: '1' });
const classes = { StdioClientTransport, StreamableHTTPClientTransport, SSEClientTransport };
await client.connect(transport(classes, { eventSourceInit: { fetch: fetchWithKey } }));
const call = async (name, args, options) => ({
  structuredContent: task(await client.callTool({ name, arguments: args }, undefined, options)),
});
await wholeJob(client, call, '2025-03-26');
