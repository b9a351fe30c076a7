// Exchange with google-auth-library, from the file of credentials that users
// of "external accounts" have already: only token_url is another.
//
// What it checks that others do not: Basic without form-encoding, audience and
// requested_token_type in every request, the subject token read anew from a
// file, and an expires_in it can renew by.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ExternalAccountClient } from 'google-auth-library';

import { eachToken } from './tokens.mjs';

const { ISSUER, CLIENT_ID, CLIENT_SECRET, SCOPE, AUDIENCE } = process.env;

const folder = await mkdtemp(join(tmpdir(), 'cambio-google-'));
const file = join(folder, 'token');

await eachToken(async (subjectToken) => {
  await writeFile(file, subjectToken);
  const client = ExternalAccountClient.fromJSON({
    type: 'external_account',
    audience: AUDIENCE,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${ISSUER}/oauth2/token`,
    client_id: CLIENT_ID,
    client_secret: CLIENT_SECRET,
    credential_source: { file },
  });
  client.scopes = [SCOPE];
  const { token: access_token } = await client.getAccessToken();
  const expires_in = Math.round((client.credentials.expiry_date - Date.now()) / 1000);
  return { exchange: { access_token, expires_in } };
});
await rm(folder, { recursive: true });
