// A resource server of Express with Auth0's express-oauth2-jwt-bearer, strict.
//
// What it checks that others do not: RFC 9068 in strict mode, and a scope that
// is a string of words, or its requiredScopes answers 403.
import express from 'express';
import { auth, requiredScopes } from 'express-oauth2-jwt-bearer';

import { eachToken } from './tokens.mjs';

const { ISSUER, AUDIENCE, SCOPE } = process.env;

const app = express();
app.use(auth({ issuerBaseURL: ISSUER, audience: AUDIENCE, strict: true }));
app.get('/', requiredScopes(SCOPE), (req, res) => res.json({ claims: req.auth.payload }));
// Express would show a page for an error.
app.use((err, req, res, next) => res.status(err.status ?? 500).set(err.headers ?? {}).json({ error: err.message }));

const server = app.listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
const api = `http://127.0.0.1:${server.address().port}/`;

await eachToken(async (token) => {
  const response = await fetch(api, { headers: { authorization: `Bearer ${token}` } });
  return { status: response.status, ...(await response.json()) };
});
server.close();
