// Signs in with the TypeScript SDK and makes a picture. Takes the server's address, where the browser is sent back to,
// and the client's metadata document where it has one; writes the address of the log-in page, reads where the browser was
// sent back to, and prints what was made.
import { createInterface } from 'node:readline/promises';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [address, redirect, document] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin });

class Person {
  redirectUrl = redirect;
  clientMetadataUrl = document;
  clientMetadata = {
    client_name: 'interop', redirect_uris: [redirect], application_type: 'native', token_endpoint_auth_method: 'none',
  };
  clientInformation() { return this.client; }
  saveClientInformation(client) { this.client = client; }
  tokens() { return this.kept; }
  saveTokens(tokens) { this.kept = tokens; }
  redirectToAuthorization(url) { console.log(String(url)); }
  saveCodeVerifier(verifier) { this.verifier = verifier; }
  codeVerifier() { return this.verifier; }
}

const person = new Person();
const transport = () => new StreamableHTTPClientTransport(new URL(address), { authProvider: person });
const first = transport();
try {
  await new Client({ name: 'interop', version: '1' }).connect(first);
} catch (error) {
  const { value } = await lines[Symbol.asyncIterator]().next();
  await first.finishAuth(new URL(value).searchParams);
}
const client = new Client({ name: 'interop', version: '1' });
await client.connect(transport());
const made = await client.callTool({ name: 'generate_image', arguments: { prompt: 'a red kite' } });
const refreshable = Boolean(person.kept.refresh_token);
console.log(JSON.stringify({ made: made.structuredContent, refreshable, client: person.client.client_id }));
await client.close();
process.exit(0);
