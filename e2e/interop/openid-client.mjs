// Exchange, client credentials, introspection and revocation with
// openid-client, for each way a client may authenticate (METHOD).
//
// What it checks that others do not: without being told a method it sends the
// secret in the body, whatever the metadata lists, and form-encodes even "-" in
// Basic; its assertion names the issuer as audience, not the endpoint; it wants
// status 200, no null in an answer, and discovery under openid-configuration.
import * as client from 'openid-client';

import { eachToken } from './tokens.mjs';

const { ISSUER, CLIENT_ID, CLIENT_SECRET, METHOD, PRIVATE_KEY, SCOPE, AUDIENCE } = process.env;

const algorithms = {
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  PS256: { name: 'RSA-PSS', hash: 'SHA-256' },
  Ed25519: { name: 'Ed25519' },
};
const methods = {
  default: () => undefined,
  client_secret_basic: () => client.ClientSecretBasic(CLIENT_SECRET),
  none: () => client.None(),
  private_key_jwt: async () => {
    const { kid, alg, ...jwk } = JSON.parse(PRIVATE_KEY);
    const key = await crypto.subtle.importKey('jwk', jwk, algorithms[alg], false, ['sign']);
    return client.PrivateKeyJwt({ key, kid });
  },
};
const config = await client.discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET, await methods[METHOD](), {
  execute: [client.allowInsecureRequests], // the issuer is http on loopback
});

await eachToken(async (subject_token) => {
  const exchange = await client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:token-exchange', {
    subject_token,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    scope: SCOPE,
    audience: AUDIENCE,
  });
  if (METHOD === 'none') return { exchange }; // the rest is for clients with credentials
  const credentials = await client.clientCredentialsGrant(config, { scope: SCOPE });
  const introspection = await client.tokenIntrospection(config, exchange.access_token);
  await client.tokenRevocation(config, exchange.access_token);
  const revoked = await client.tokenIntrospection(config, exchange.access_token);
  return { exchange, credentials, introspection, revoked };
});
