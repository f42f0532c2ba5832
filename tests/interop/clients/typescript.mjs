// What both TypeScript clients do alike.
export const job = JSON.parse(process.argv[2]);

export function transport({ StdioClientTransport, StreamableHTTPClientTransport, SSEClientTransport }, more = {}) {
  const options = { requestInit: { headers: job.headers }, ...more };
  const [command, ...args] = job.command;
  if (job.transport === 'stdio') return new StdioClientTransport({ command, args, env: job.env });
  if (job.transport === 'http') return new StreamableHTTPClientTransport(new URL(`${job.url}/mcp`), options);
  return new SSEClientTransport(new URL(`${job.url}/sse`), options);
}

export async function wholeJob(client, call, protocol) {
  const progress = [];
  const onprogress = ({ progress: done, total, message }) => progress.push([done, total, message]);
  const tools = (await client.listTools()).tools.map(tool => tool.name);
  const made = (await call('generate_image', { prompt: 'a red kite' })).structuredContent;
  const checked = await call('check_task', { task_id: made.task_id, wait_seconds: 30 }, { onprogress });
  const server = client.getServerVersion().name;
  console.log(JSON.stringify({ server, protocol, tools, made, progress, checked: checked.structuredContent }));
  await client.close();
}
