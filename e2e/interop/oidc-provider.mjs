// An identity provider that is not ours: oidc-provider on a loopback port,
// issuing the tokens a user would bring to Cambio.
//
//   AUDIENCE=https://cambio.example PERMISSIONS='["orders:read"]' node oidc-provider.mjs
//   node oidc-provider.mjs https://cambio.example        # AUDIENCE as an argument
//
// SUBJECT replaces `sub`. When ready it prints one line of JSON with what a test
// needs, then serves until its standard input closes or it is told to stop.
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';

function fail(message) {
  console.error(`oidc-provider.mjs: ${message}`);
  process.exit(2);
}

const audience = process.argv[2] ?? process.env.AUDIENCE;
if (!audience) fail('AUDIENCE, or a first argument, must name the audience of the tokens');

let permissions;
try {
  permissions = JSON.parse(process.env.PERMISSIONS ?? '[]');
} catch (error) {
  fail(`PERMISSIONS is not JSON: ${error.message}`);
}
if (!Array.isArray(permissions)) fail('PERMISSIONS must be a JSON array');

const { privateKey } = await generateKeyPair('RS256', { extractable: true });
const key = { ...(await exportJWK(privateKey)), use: 'sig', alg: 'RS256' };
key.kid = await calculateJwkThumbprint(key);

// Letters and digits only: clients disagree on how to encode anything else in
// HTTP Basic.
const client_id = 'interop-client';
const client_secret = randomBytes(32).toString('hex');

// The issuer names the port, so the port must be known before the provider is
// made.
const server = createServer();
server.listen(0, '127.0.0.1');
await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject));
const issuer = `http://127.0.0.1:${server.address().port}`;

// The provider warns that http and its in-memory store are not for production;
// standard output is for the one line, so warnings go to standard error.
console.info = console.error;
console.warn = console.error;

const provider = new Provider(issuer, {
  jwks: { keys: [key] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  clients: [
    {
      client_id,
      client_secret,
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    },
  ],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      // Must be a URI, which the audience need not be; a request that names no
      // resource gets this one, and with it a JWT.
      defaultResource: () => 'urn:cambio:interop',
      getResourceServerInfo: () => ({
        scope: 'openid',
        audience,
        accessTokenTTL: 600,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256', kid: key.kid } },
      }),
    },
  },
  extraTokenClaims: () => ({ permissions }),
  formats: {
    customizers: {
      // A client-credentials token's `sub` is its client_id (RFC 9068, 2.2); one
      // of a user comes from a login, which SUBJECT stands in for.
      jwt(ctx, token, { payload }) {
        if (process.env.SUBJECT) payload.sub = process.env.SUBJECT;
      },
    },
  },
});
provider.on('server_error', (ctx, error) => console.error(error));
server.on('request', provider.callback());

const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
process.stdout.write(
  `${JSON.stringify({
    issuer: metadata.issuer,
    jwks_uri: metadata.jwks_uri,
    token_endpoint: metadata.token_endpoint,
    client_id,
    client_secret,
  })}\n`,
);

const stop = () => process.exit(0);
process.on('SIGTERM', stop).on('SIGINT', stop);
// A test that dies takes its end of the pipe with it, and so this process.
process.stdin.on('end', stop).on('error', stop).resume();
