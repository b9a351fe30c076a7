// A resource server of oauth4webapi.
//
// What it checks that others do not: RFC 9068 to the letter, which is typ
// at+jwt and all of iss, exp, aud, sub, iat, jti and client_id.
import * as oauth from 'oauth4webapi';

import { eachToken } from './tokens.mjs';

const { ISSUER, AUDIENCE } = process.env;

const loopback = { [oauth.allowInsecureRequests]: true }; // the issuer is http
const issuer = new URL(ISSUER);
const as = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...loopback }),
);

await eachToken(async (token) => {
  const request = new Request(AUDIENCE, { headers: { authorization: `Bearer ${token}` } });
  return { claims: await oauth.validateJwtAccessToken(as, request, AUDIENCE, loopback) };
});
