package vectors_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/assertion"
	"github.com/cambio-oauth/cambio/grants/jws"
	"github.com/cambio-oauth/cambio/keys/remote"
	"github.com/cambio-oauth/cambio/registry"
)

// pass is one policy under which every vector is judged.
type pass struct {
	name       string
	algorithms []string
	want       func(verdict) grants.Reason
}

func passes() []pass {
	return []pass{
		{"rs256", []string{"RS256"}, func(v verdict) grants.Reason { return v.rs256 }},
		{"each", registry.Algorithms(), func(v verdict) grants.Reason { return v.each }},
	}
}

// Every vector of every file, under both policies, for the reason that the
// tables give; and no vector that upstream calls invalid is accepted.
func TestEveryVector(t *testing.T) {
	for _, file := range joseFiles() {
		for _, pass := range passes() {
			t.Run(file+"/"+pass.name, func(t *testing.T) { runVectors(t, file, pass) })
		}
	}
}

func runVectors(t *testing.T, file string, pass pass) {
	vectors := readSuite(t, file)
	want, why := expected(t, file, pass)
	run, taken := 0, 0
	for _, group := range vectors.Groups {
		keys := keysOf(t, group.published())
		for _, vector := range group.Tests {
			run++
			got := judgeSignature(vector.text(), keys, pass.algorithms...)
			if got == accepted {
				taken++
			}
			reason, listed := want[vector.ID]
			if !listed || got != reason {
				t.Errorf("%d (%s, %s): %s, want %s", vector.ID, group.Comment, vector.Comment, said(got), said(reason))
			}
			delete(want, vector.ID)
			checkDeviation(t, vector, got, why[vector.ID])
			delete(why, vector.ID)
		}
	}
	for id := range want {
		t.Errorf("%d has a verdict and does not exist", id)
	}
	for id := range why {
		t.Errorf("%d has a reason to deviate and does not exist", id)
	}
	if run != vectors.NumberOfTests {
		t.Errorf("%d vectors were run, the file says %d", run, vectors.NumberOfTests)
	}
	t.Logf("%s, policy %s: %d of %d vectors run, %d accepted, %d refused", file, pass.name, run, vectors.NumberOfTests, taken, run-taken)
}

// expected gives the verdict of each vector under a policy, and why some
// deviate from upstream's.
func expected(t *testing.T, file string, pass pass) (want map[int]grants.Reason, why map[int]string) {
	t.Helper()
	want, why = map[int]grants.Reason{}, map[int]string{}
	for _, verdict := range verdicts(file) {
		for _, id := range numbers(verdict.ids) {
			if _, twice := want[id]; twice {
				t.Errorf("%d has two verdicts", id)
			}
			want[id] = pass.want(verdict)
		}
	}
	for _, deviation := range deviations {
		if deviation.file != file || deviation.policy != pass.name && deviation.policy != "both" {
			continue
		}
		for _, id := range numbers(deviation.ids) {
			if why[id] != "" {
				t.Errorf("%d has two reasons to deviate", id)
			}
			why[id] = deviation.why
		}
	}
	return want, why
}

func checkDeviation(t *testing.T, vector vector, got grants.Reason, why string) {
	t.Helper()
	valid := vector.Result == "valid"
	switch {
	case !valid && vector.Result != "invalid":
		t.Errorf("%d: unknown result %q", vector.ID, vector.Result)
	case !valid && got == accepted:
		t.Errorf("%d is accepted and invalid upstream", vector.ID)
	case valid && got != accepted && why == "":
		t.Errorf("%d is refused, valid upstream, and not among the deviations", vector.ID)
	case valid == (got == accepted) && why != "":
		t.Errorf("%d no longer deviates from upstream (%s)", vector.ID, why)
	}
}

// RFC 8725 §2.1: should a policy ever allow HMAC or none, there would still be
// no key for them.
func TestNoPolicyMakesAKeyASecret(t *testing.T) {
	run := 0
	for _, file := range joseFiles() {
		for _, group := range readSuite(t, file).Groups {
			keys := keysOf(t, group.published())
			for _, vector := range group.Tests {
				if judgeSignature(vector.text(), keys, registry.Algorithms()...) != grants.AlgNotAllowed {
					continue
				}
				run++
				want := grants.KeyNotFound
				token := must(jws.Parse(vector.text(), grants.MaxSubjectTokenBytes))
				if found := must(keys.Find(t.Context(), assertion.KeyQuery{KeyID: token.KeyID})); len(found) > 0 {
					want = grants.KeyUnusable
				}
				if got := judgeSignature(vector.text(), keys, "HS256", "HS384", "HS512", "none", "NONE"); got != want {
					t.Errorf("%s %d: %s, want %s", file, vector.ID, said(got), said(want))
				}
			}
		}
	}
	t.Logf("%d vectors of HMAC and none", run)
	if run == 0 {
		t.Error("no vector was run")
	}
}

// Four deviations come from the alg of the JWK and from nothing else: without
// it the signatures of RFC 7520 §4.2 and §4.3 verify.
func TestMislabelledKeysOfRFC7520(t *testing.T) {
	run := 0
	for _, group := range readSuite(t, signatureFile).Groups {
		if !slices.Contains([]int{346, 347, 350, 351}, group.first()) {
			continue
		}
		run++
		keys := keysOf(t, withoutMember(group.published(), "alg"))
		if got := judgeSignature(group.Tests[0].text(), keys, registry.Algorithms()...); got != accepted {
			t.Errorf("%d: %s", group.first(), said(got))
		}
	}
	if run != 4 {
		t.Errorf("%d groups, want 4", run)
	}
}

// A private key spoils the document it stands in; a shared secret is left out,
// and its owner is told.
func TestSecretsOfTheVectorsAreNoKeys(t *testing.T) {
	private, shared := 0, 0
	for _, file := range joseFiles() {
		for _, group := range readSuite(t, file).Groups {
			name := fmt.Sprintf("%s, group of %d", file, group.first())
			document, err := remote.Parse(asSet(group.Private), remote.FormatAuto)
			if signingKey(t, group.Private) != nil {
				private++
				if !errors.Is(err, remote.ErrPrivateKey) {
					t.Errorf("%s: got %v, want ErrPrivateKey", name, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			secrets := bytes.Count(group.Private, []byte(`"oct"`))
			shared += secrets
			warnings := aboutKeys(document.Warnings)
			warned := slices.IndexFunc(warnings, func(w remote.Warning) bool { return w.Code != remote.WarnSymmetricKey }) < 0
			if siblings := bytes.Count(group.Private, []byte(`"EC"`)); !warned || len(warnings) != secrets || len(document.Keys) != siblings {
				t.Errorf("%s: got %+v", name, document)
			}
		}
	}
	t.Logf("%d documents with private keys, %d shared secrets in others", private, shared)
}
