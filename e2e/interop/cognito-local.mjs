// An identity provider: cognito-local, which has the shape of Amazon Cognito's
// tokens. A user of a group signs in; {"issuer","jwks_uri","client_id",
// "id_token","access_token"} is printed. It serves until its standard input
// closes.
//
// What it brings that other providers do not: an access token without aud, and
// permissions as the groups of a user, in a claim with a colon in its name.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const groups = JSON.parse(process.env.PERMISSIONS);

// The issuer names the port, and it cannot say which one it was given.
const free = createServer().listen(0, '127.0.0.1');
await once(free, 'listening');
const { port } = free.address();
free.close();
await once(free, 'close');

const folder = await mkdtemp(join(tmpdir(), 'cambio-cognito-'));
const server = spawn(process.execPath, [fileURLToPath(import.meta.resolve('cognito-local/lib/bin/start.js'))], {
  cwd: folder, // its database
  env: { ...process.env, HOST: '127.0.0.1', PORT: port },
  stdio: ['ignore', 'pipe', 'inherit'],
});
process.once('exit', () => server.kill());
for await (const line of createInterface({ input: server.stdout })) if (line.includes('running on')) break;
server.stdout.resume();

async function cognito(operation, body) {
  const response = await fetch(`http://127.0.0.1:${port}/`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-amz-json-1.1', 'X-Amz-Target': `AWSCognitoIdentityProviderService.${operation}` },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${operation}: ${await response.text()}`);
  return response.json();
}

const { UserPool } = await cognito('CreateUserPool', { PoolName: 'users' });
const pool = { UserPoolId: UserPool.Id };
const user = { ...pool, Username: 'ada@example.com' };
const { UserPoolClient } = await cognito('CreateUserPoolClient', { ...pool, ClientName: 'app' });
const Password = 'Correct-horse-9';
await cognito('AdminCreateUser', { ...user, TemporaryPassword: Password, MessageAction: 'SUPPRESS', UserAttributes: [{ Name: 'email', Value: user.Username }] });
await cognito('AdminSetUserPassword', { ...user, Password, Permanent: true });
for (const GroupName of groups) {
  await cognito('CreateGroup', { ...pool, GroupName });
  await cognito('AdminAddUserToGroup', { ...user, GroupName });
}
const { AuthenticationResult } = await cognito('InitiateAuth', {
  AuthFlow: 'USER_PASSWORD_AUTH',
  ClientId: UserPoolClient.ClientId,
  AuthParameters: { USERNAME: user.Username, PASSWORD: Password },
});

const issuer = `http://127.0.0.1:${port}/${UserPool.Id}`;
console.log(
  JSON.stringify({
    issuer,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    client_id: UserPoolClient.ClientId,
    id_token: AuthenticationResult.IdToken,
    access_token: AuthenticationResult.AccessToken,
  }),
);
process.stdin.resume().once('end', async () => {
  server.kill();
  await once(server, 'exit');
  await rm(folder, { recursive: true });
});
