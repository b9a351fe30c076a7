// Package accesstoken mints and verifies the platform's access tokens: JWTs of
// RFC 9068. Whether a token was revoked is not in the token; whoever verifies
// asks for that apart.
package accesstoken
