// A resource server of jose.
//
// What it checks that others do not: typ at+jwt, and no tolerance at all for
// clocks that differ.
import { createRemoteJWKSet, jwtVerify } from 'jose';

import { eachToken } from './tokens.mjs';

const { ISSUER, AUDIENCE } = process.env;

const metadata = await (await fetch(`${ISSUER}/.well-known/oauth-authorization-server`)).json();
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));

await eachToken(async (token) => {
  const { payload } = await jwtVerify(token, keys, { issuer: ISSUER, audience: AUDIENCE, typ: 'at+jwt' });
  return { claims: payload };
});
