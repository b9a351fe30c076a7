// A resource server that is not ours: verifies an access token with jose.
//
//   node verify.mjs ISSUER JWKS_URI AUDIENCE < token
//
// Prints the claims as one line of JSON; otherwise the reason on standard error,
// and exits 1.
import { text } from 'node:stream/consumers';

import { createRemoteJWKSet, jwtVerify } from 'jose';

const [issuer, jwksUri, audience] = process.argv.slice(2);
if (!issuer || !jwksUri || !audience) {
  console.error('usage: node verify.mjs ISSUER JWKS_URI AUDIENCE < token');
  process.exit(2);
}

try {
  const token = (await text(process.stdin)).trim();
  const keys = createRemoteJWKSet(new URL(jwksUri));
  const { payload } = await jwtVerify(token, keys, { issuer, audience, typ: 'at+jwt' });
  console.log(JSON.stringify(payload));
} catch (error) {
  console.error(error.code ? `${error.code}: ${error.message}` : error.message);
  process.exitCode = 1;
}
