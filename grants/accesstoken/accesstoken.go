package accesstoken

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/jws"
)

// ErrInvalid means that a text is not a live access token of ours. What was
// wrong with it is nobody's business but the log's.
var ErrInvalid = errors.New("not a valid access token of this server")

// Grant is what a token is to say.
type Grant struct {
	Subject       string
	ClientID      string
	IntegratorID  string
	Audience      []string
	Scopes        []string
	LockHolderIDs []string
	SubjectIssuer string // exchange only
	SubjectID     string // exchange only
	ExpiresAt     time.Time
	Generations   grants.Generations
}

// Signer signs with the active key.
type Signer interface {
	// Sign gives the compact JWS of payload, with typ in its header.
	Sign(ctx context.Context, typ string, payload []byte) (string, error)
}

// PublicKeys knows the public halves of all keys whose tokens may still live.
type PublicKeys interface {
	// PublicKey gives a key and its algorithm; a nil key means that there is
	// none of that id, an error that nobody can tell.
	PublicKey(ctx context.Context, keyID string) (algorithm string, key any, err error)
}

// Minter makes access tokens.
type Minter struct {
	Issuer string
	Signer Signer
	Now    func() time.Time
}

// Minted is a new token.
type Minted struct {
	Token  string
	Claims Claims
}

// Mint makes a token.
func (m *Minter) Mint(ctx context.Context, g Grant) (*Minted, error) {
	if len(g.Audience) == 0 || len(g.Scopes) == 0 {
		return nil, errors.New("an access token has an audience and a scope") // RFC 9068 §2.2, and ours
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	claims := Claims{
		Issuer:        m.Issuer,
		Subject:       g.Subject,
		Audience:      g.Audience,
		ExpiresAt:     g.ExpiresAt.Unix(),
		IssuedAt:      m.Now().Unix(),
		ID:            base64.RawURLEncoding.EncodeToString(id[:]),
		ClientID:      g.ClientID,
		Scope:         strings.Join(g.Scopes, " "),
		IntegratorID:  g.IntegratorID,
		LockHolderIDs: g.LockHolderIDs,
		SubjectIssuer: g.SubjectIssuer,
		SubjectID:     g.SubjectID,
		Generation:    [2]int64{g.Generations.Integrator, g.Generations.Client},
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return nil, err
	}
	token, err := m.Signer.Sign(ctx, Type, payload)
	if err != nil {
		return nil, fmt.Errorf("sign access token: %w", err)
	}
	return &Minted{Token: token, Claims: claims}, nil
}

// Verifier verifies access tokens.
type Verifier struct {
	Issuer string
	Keys   PublicKeys
	Now    func() time.Time
	Recent *Recent // nil: every token is verified anew
}

// Verify checks form, type, signature, issuer and expiry. The error is
// ErrInvalid, or one that says why nobody can tell.
func (v *Verifier) Verify(ctx context.Context, raw string) (*Claims, error) {
	if len(raw) > grants.MaxBodyBytes {
		return nil, fmt.Errorf("%w: too large", ErrInvalid)
	}
	hash := sha256.Sum256([]byte(raw))
	found := v.Recent.find(hash)
	if found == nil {
		var err error
		if found, err = v.verify(ctx, raw); err != nil {
			return nil, err
		}
		found.hash = hash
		if len(raw) <= maxRecentBytes {
			v.Recent.add(found)
		}
	} else if _, err := v.key(ctx, found.keyID); err != nil {
		return nil, err
	}
	claims := found.claims
	if claims.Issuer != v.Issuer || claims.ID == "" || !claims.Expires().After(v.Now()) {
		return nil, fmt.Errorf("%w: expired or of another issuer", ErrInvalid)
	}
	return &claims, nil
}

// verify reads a token and finds its signature good.
func (v *Verifier) verify(ctx context.Context, raw string) (*seen, error) {
	token, err := jws.ParseJWT(raw, grants.MaxBodyBytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	// RFC 9068 §4: another kind of JWT under the same key is no access token.
	if token.Type != Type || token.KeyID == "" {
		return nil, fmt.Errorf("%w: typ %q, kid %q", ErrInvalid, token.Type, token.KeyID)
	}
	key, err := v.key(ctx, token.KeyID)
	if err != nil {
		return nil, err
	}
	if err := token.Verify(key.algorithm, key.public); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	s := &seen{keyID: token.KeyID}
	if err := json.Unmarshal(token.Payload, &s.claims); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return s, nil
}

type publicKey struct {
	algorithm string
	public    any
}

func (v *Verifier) key(ctx context.Context, id string) (publicKey, error) {
	algorithm, public, err := v.Keys.PublicKey(ctx, id)
	if err == nil && public == nil {
		err = fmt.Errorf("%w: no such key", ErrInvalid)
	}
	return publicKey{algorithm, public}, err
}
