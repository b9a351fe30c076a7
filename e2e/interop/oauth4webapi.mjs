// Exchange, client credentials, introspection and revocation with
// oauth4webapi, the strictest of the clients.
//
// What it checks that others do not: the metadata where RFC 8414 has it, and
// its issuer; every member of every answer by type, token_type even of an
// exchange, and the content type of each answer.
import * as oauth from 'oauth4webapi';

import { eachToken } from './tokens.mjs';

const { ISSUER, CLIENT_ID, CLIENT_SECRET, SCOPE, AUDIENCE } = process.env;

const loopback = { [oauth.allowInsecureRequests]: true }; // the issuer is http
const issuer = new URL(ISSUER);
const as = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...loopback }),
);
const client = { client_id: CLIENT_ID };
const auth = oauth.ClientSecretBasic(CLIENT_SECRET);

const introspect = async (token) =>
  oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, auth, token, loopback));

await eachToken(async (subject_token) => {
  const exchange = await oauth.processGenericTokenEndpointResponse(
    as,
    client,
    await oauth.genericTokenEndpointRequest(
      as,
      client,
      auth,
      'urn:ietf:params:oauth:grant-type:token-exchange',
      { subject_token, subject_token_type: 'urn:ietf:params:oauth:token-type:jwt', scope: SCOPE, audience: AUDIENCE },
      loopback,
    ),
  );
  const credentials = await oauth.processClientCredentialsResponse(
    as,
    client,
    await oauth.clientCredentialsGrantRequest(as, client, auth, { scope: SCOPE }, loopback),
  );
  const introspection = await introspect(exchange.access_token);
  await oauth.processRevocationResponse(
    await oauth.revocationRequest(as, client, auth, exchange.access_token, loopback),
  );
  const revoked = await introspect(exchange.access_token);
  return { exchange, credentials, introspection, revoked };
});
