// An identity provider: npm's oidc-provider, with its own log-in and consent pages. Takes its options as JSON.
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const { port, seconds, format, client, documents } = JSON.parse(process.argv[2]);
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  jwks: { keys: [{ ...key, use: 'sig', alg: 'ES256', kid: `key-${Date.now()}` }] },
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  clients: [{
    client_id: client[0], client_secret: client[1], redirect_uris: [], response_types: [], grant_types: [],
    token_endpoint_auth_method: 'client_secret_basic',
  }],
  // It reads no address of this machine, which the documents of the tests stand on; their certificates are checked.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  scopes: ['openid', 'offline_access', 'media'],
  issueRefreshToken: async () => true,
  ttl: { AccessToken: seconds, Grant: 3600, Interaction: 600, RefreshToken: 3600, Session: 3600 },
  features: {
    registration: { enabled: true },
    revocation: { enabled: true, allowedPolicy: async () => true },
    introspection: { enabled: true, allowedPolicy: async () => true },
    clientIdMetadataDocument: { enabled: documents, ack: 'draft-02' },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: async () => true,
      getResourceServerInfo: async (_ctx, resource) => ({
        scope: 'media', audience: resource, accessTokenFormat: format, accessTokenTTL: seconds,
        ...(format === 'jwt' ? { jwt: { sign: { alg: 'ES256' } } } : {}),
      }),
    },
  },
});
provider.on('server_error', (_ctx, error) => console.error(error));
provider.listen(port, '127.0.0.1');
