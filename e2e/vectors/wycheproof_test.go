package vectors_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/c2sp/wycheproof"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/grants/jws"
	"github.com/cambio-oauth/cambio/keys/remote"
)

// Files of Wycheproof that hold JOSE objects.
const (
	signatureFile  = "json_web_signature_test.json"
	cryptoFile     = "json_web_crypto_test.json"
	keyFile        = "json_web_key_test.json"
	encryptionFile = "json_web_encryption_test.json"
)

func joseFiles() []string {
	return []string{signatureFile, cryptoFile, keyFile, encryptionFile}
}

// suite is one file of Wycheproof.
type suite struct {
	NumberOfTests int     `json:"numberOfTests"`
	Groups        []group `json:"testGroups"`
}

// group is vectors of one key, or of one set of keys.
type group struct {
	Comment string          `json:"comment"`
	Public  json.RawMessage `json:"public"`  // a JWK or a JWK set; absent for shared secrets
	Private json.RawMessage `json:"private"` // likewise
	Tests   []vector        `json:"tests"`
}

type vector struct {
	ID      int        `json:"tcId"`
	Comment string     `json:"comment"`
	JWS     serialized `json:"jws"`
	JWE     serialized `json:"jwe"`
	Result  string     `json:"result"` // valid or invalid
}

// serialized is a JWS or JWE as it would be sent: the compact text, or the JSON
// of the other serializations, which stands in the file as an object.
type serialized string

func (s *serialized) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) != nil {
		text = string(data)
	}
	*s = serialized(text)
	return nil
}

// text gives what is sent as a subject token, whichever of the two it is.
func (v *vector) text() string { return string(v.JWS + v.JWE) }

func readSuite(t *testing.T, file string) *suite {
	t.Helper()
	var read suite
	if err := json.Unmarshal(must(fs.ReadFile(wycheproof.TestVectors, file)), &read); err != nil {
		t.Fatal(err)
	}
	if read.NumberOfTests == 0 {
		t.Fatalf("%s holds no vectors", file)
	}
	return &read
}

// first names a group by its first vector, as the tables do.
func (g *group) first() int { return g.Tests[0].ID }

// asSet makes a JWK set of a JWK.
func asSet(jwk []byte) []byte {
	if bytes.Contains(jwk, []byte(`"keys"`)) {
		return jwk
	}
	return slices.Concat([]byte(`{"keys":[`), jwk, []byte(`]}`))
}

// published gives the document that the owner of a group's keys would serve. A
// shared secret has no public part: it is served as it is, which is a mistake
// that people make.
func (g *group) published() []byte {
	if g.Public != nil {
		return asSet(g.Public)
	}
	return edited(asSet(g.Private), func(jwk map[string]any) {
		for _, name := range []string{"d", "p", "q", "dp", "dq", "qi"} {
			delete(jwk, name)
		}
	})
}

// keysOf finds keys in a document as keys/remote does.
func keysOf(t *testing.T, document []byte) assertion.Keys {
	t.Helper()
	read, err := remote.Parse(document, remote.FormatAuto)
	if err != nil {
		t.Fatalf("%.200s: %v", document, err)
	}
	unnamed := slices.ContainsFunc(read.Keys, func(key assertion.Key) bool { return key.Unnamed })
	return assertion.KeysFunc(func(_ context.Context, query assertion.KeyQuery) ([]assertion.Key, error) {
		if query.KeyID == "" || unnamed {
			return read.Keys, nil
		}
		var found []assertion.Key
		for _, key := range read.Keys {
			if key.ID == query.KeyID {
				found = append(found, key)
			}
		}
		return found, nil
	})
}

// now is when every token of these tests is judged.
var now = time.Unix(1_800_000_000, 0)

func verifier(keys assertion.Keys) *assertion.Verifier {
	return &assertion.Verifier{Keys: keys, Now: func() time.Time { return now }}
}

// accepted is the reason of tokens that are not refused.
const accepted grants.Reason = ""

func reasonOf(refusal *grants.Refusal) grants.Reason {
	if refusal == nil {
		return accepted
	}
	if refusal.Code != grants.InvalidRequest || refusal.Reason == "" {
		panic("not a refusal of a subject token: " + refusal.Error())
	}
	return refusal.Reason
}

// judgeSignature tells why a JWS is refused, whatever its payload.
func judgeSignature(raw string, keys assertion.Keys, algorithms ...string) grants.Reason {
	token, err := jws.Parse(raw, grants.MaxSubjectTokenBytes)
	switch {
	case errors.Is(err, jws.ErrHeaderNotAllowed):
		return grants.HeaderNotAllowed
	case errors.Is(err, jws.ErrMalformed):
		return grants.Malformed
	case err != nil:
		panic(err)
	}
	return reasonOf(verifier(keys).VerifySignature(context.Background(), token, &assertion.Policy{Algorithms: algorithms}))
}

// numbers reads a list such as "1-3 5".
func numbers(list string) []int {
	var all []int
	for _, item := range strings.Fields(list) {
		low, high, isRange := strings.Cut(item, "-")
		if !isRange {
			high = low
		}
		for n := must(strconv.Atoi(low)); n <= must(strconv.Atoi(high)); n++ {
			all = append(all, n)
		}
	}
	return all
}

func said(reason grants.Reason) string {
	if reason == accepted {
		return "accepted"
	}
	return fmt.Sprintf("refused as %s", reason)
}

func must[T any](value T, err error) T {
	mustDo(err)
	return value
}

func mustDo(err error) {
	if err != nil {
		panic(err)
	}
}
