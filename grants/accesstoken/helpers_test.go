package accesstoken_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/accesstoken"
)

const issuer = "https://cambio.example"

var (
	ourKey   = sync.OnceValue(newKey)
	otherKey = sync.OnceValue(newKey)
)

// now is no whole second; exp and iat are.
var now = time.Unix(1_800_000_000, 900_000_000)

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// signText signs with RS256 whatever stands in header and payload.
func signText(key *rsa.PrivateKey, header, payload string) string {
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	return signed + "." + b64(signature)
}

// signer signs with our key, or fails.
type signer struct {
	err error
	typ string
}

func (s *signer) Sign(_ context.Context, typ string, payload []byte) (string, error) {
	s.typ = typ
	return signText(ourKey(), `{"alg":"RS256","kid":"k1","typ":"`+typ+`"}`, string(payload)), s.err
}

// publicKeys knows k1, and fails when told to.
type publicKeys struct {
	err   error
	gone  bool
	asked []string
}

func (p *publicKeys) PublicKey(_ context.Context, keyID string) (algorithm string, key any, err error) {
	p.asked = append(p.asked, keyID)
	if keyID != "k1" || p.gone || p.err != nil {
		return "", nil, p.err
	}
	return "RS256", &ourKey().PublicKey, nil
}

func minter() *accesstoken.Minter {
	return &accesstoken.Minter{Issuer: issuer, Signer: &signer{}, Now: func() time.Time { return now }}
}

func verifier() *accesstoken.Verifier {
	return &accesstoken.Verifier{Issuer: issuer, Keys: &publicKeys{}, Now: func() time.Time { return now }}
}

// exchanged is the grant of an exchange, with everything a grant can say.
func exchanged() accesstoken.Grant {
	return accesstoken.Grant{
		Subject: "https://acme.example/#auth0|1", ClientID: "app", IntegratorID: "acme", Audience: []string{"https://locks.example"},
		Scopes: []string{"a", "b"}, LockHolderIDs: []string{"id-1", "id-2"}, SubjectIssuer: "https://acme.example/", SubjectID: "auth0|1",
		ExpiresAt: now.Add(time.Hour), Generations: grants.Generations{Integrator: 7, Client: 3},
	}
}
