// An identity provider: oauth2-mock-server, as people start it in their own
// tests. It prints {"issuer","jwks_uri","tokens"}, a token for each algorithm,
// and serves until its standard input closes.
//
// What it brings that other providers do not: keys of several kinds in one
// document, typ JWT, nbf, and an issuer that ends in a slash, as Auth0's does.
import { OAuth2Server } from 'oauth2-mock-server';

const { AUDIENCE, PERMISSIONS } = process.env;

const server = new OAuth2Server(undefined, undefined, { shouldIssuerUrlBeSuffixedWithATralingSlash: true });
const tokens = {};
for (const alg of ['RS256', 'PS256', 'ES256', 'EdDSA']) await server.issuer.keys.generate(alg, { kid: alg });
await server.start(0, '127.0.0.1');
for (const { kid } of server.issuer.keys.toJSON()) {
  tokens[kid] = await server.issuer.buildToken({
    kid,
    scopesOrTransform: (header, payload) => {
      Object.assign(payload, { aud: AUDIENCE, sub: `auth0|${kid}`, permissions: JSON.parse(PERMISSIONS) });
    },
  });
}
const { issuer } = server;
console.log(JSON.stringify({ issuer: issuer.url, jwks_uri: new URL('jwks', issuer.url), tokens }));
process.stdin.resume().once('end', () => server.stop());
