// The whole job by the TypeScript SDK 2.x. Takes a job as JSON, prints what became of it.
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { job, transport, wholeJob } from './typescript.mjs';

const mode = { legacy: 'legacy', auto: 'auto', modern: { pin: '2026-07-28' } }[job.era];
const client = new Client({ name: 'interop', version: '1' }, { versionNegotiation: { mode } });
await client.connect(transport({ StdioClientTransport, StreamableHTTPClientTransport, SSEClientTransport }));
const call = (name, args, options) => client.callTool({ name, arguments: args }, options);
await wholeJob(client, call, client.getNegotiatedProtocolVersion());
