// The whole job by the TypeScript SDK 1.x. Takes a job as JSON, prints what became of it.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { transport, wholeJob } from './typescript.mjs';

const client = new Client({ name: 'interop', version: '1' });
const wire = transport({ StdioClientTransport, StreamableHTTPClientTransport, SSEClientTransport });
let protocol;
const set = wire.setProtocolVersion?.bind(wire);
wire.setProtocolVersion = version => { protocol = version; set?.(version); };
await client.connect(wire);
const call = (name, args, options) => client.callTool({ name, arguments: args }, undefined, options);
await wholeJob(client, call, protocol);
