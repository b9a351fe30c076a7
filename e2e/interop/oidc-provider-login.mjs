// An identity provider that is not ours, at which people sign in to the panel:
// oidc-provider on a loopback port, with its own pages to log in and consent.
//
//   REDIRECT_URI=http://cambio.test/panel/oidc/callback node oidc-provider-login.mjs
//
// Any login and password will do. "operator" is in the group cambio-operators;
// any other login is an integrator's id. METHOD=none makes a public client. When
// ready it prints one line of JSON with what a test needs, then serves until its
// standard input closes or it is told to stop.
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

import { exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';

const redirect_uri = process.env.REDIRECT_URI;
if (!redirect_uri) {
  console.error('oidc-provider-login.mjs: REDIRECT_URI must be set');
  process.exit(2);
}
const method = process.env.METHOD ?? 'client_secret_basic';

const { privateKey } = await generateKeyPair('ES256', { extractable: true });
const key = { ...(await exportJWK(privateKey)), use: 'sig', alg: 'ES256', kid: 'login' };

const client_id = 'cambio';
const client_secret = method === 'none' ? undefined : randomBytes(32).toString('hex');

const server = createServer();
server.listen(0, '127.0.0.1');
await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject));
const issuer = `http://127.0.0.1:${server.address().port}`;

// Standard output is for the one line.
console.info = console.error;
console.warn = console.error;

const provider = new Provider(issuer, {
  jwks: { keys: [key] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  clients: [
    {
      client_id,
      client_secret,
      token_endpoint_auth_method: method,
      redirect_uris: [redirect_uri],
      id_token_signed_response_alg: 'ES256',
    },
  ],
  features: { devInteractions: { enabled: true } },
  claims: { openid: ['sub'], profile: ['preferred_username', 'groups', 'integrator'] },
  conformIdTokenClaims: false, // in the ID token, and not at the UserInfo endpoint alone
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      preferred_username: `${id}@example.com`,
      ...(id === 'operator' ? { groups: ['staff', 'cambio-operators'] } : { integrator: [id] }),
    }),
  }),
});
provider.on('server_error', (ctx, error) => console.error(error));
server.on('request', provider.callback());

process.stdout.write(`${JSON.stringify({ issuer, client_id, client_secret })}\n`);

const stop = () => process.exit(0);
process.on('SIGTERM', stop).on('SIGINT', stop);
// A test that dies takes its end of the pipe with it, and so this process.
process.stdin.on('end', stop).on('error', stop).resume();
