package presets

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/registry"
)

// golden is a token of a provider's shape and what is proposed for it.
type golden struct {
	Name   string `json:"name"`
	Header struct {
		Alg string `json:"alg"`
		Kid string `json:"kid,omitempty"`
		Typ string `json:"typ,omitempty"`
	} `json:"header"`
	Claims map[string]json.RawMessage `json:"claims"`
	Want   wanted                     `json:"want"`
}

// wanted is a Proposal in fewer words: of what is for people only the codes.
type wanted struct {
	Guess     bool     `json:"guess,omitempty"`
	KeyURL    any      `json:"key_url,omitempty"`
	Discovery string   `json:"discovery,omitempty"`
	Missing   []string `json:"missing,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
	Refused   string   `json:"refused,omitempty"` // how the text begins
}

const ourAudience = "https://cambio.example"

func load(t *testing.T) *Catalogue {
	t.Helper()
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (g *golden) token() Token {
	return Token{Algorithm: g.Header.Alg, KeyID: g.Header.Kid, Type: strings.ToLower(g.Header.Typ), Claims: g.Claims}
}

func readGolden(t *testing.T, id string) (cases []golden) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", id+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &cases); err != nil || len(cases) == 0 {
		t.Fatalf("%s: %d cases, %v", id, len(cases), err)
	}
	return cases
}

// shorten gives what a golden file holds of a proposal.
func shorten(t *testing.T, p Proposal) wanted {
	t.Helper()
	w := wanted{Guess: p.Guess, Discovery: p.Discovery, Refused: p.Refused}
	if p.Refused == "" {
		data, err := json.Marshal(p.KeyURL)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &w.KeyURL); err != nil {
			t.Fatal(err)
		}
	}
	for _, missing := range p.Missing {
		w.Missing = append(w.Missing, missing.Member)
	}
	for _, warning := range p.Warnings {
		w.Warnings = append(w.Warnings, warning.Code)
	}
	return w
}

// Every provider has tokens of its shape, and a key URL is proposed for them
// as it stands in its golden file.
func TestGolden(t *testing.T) {
	c := load(t)
	for _, preset := range c.Presets() {
		for _, g := range readGolden(t, preset.ID) {
			t.Run(preset.ID+"/"+g.Name, func(t *testing.T) {
				p := c.Propose(g.token(), []string{ourAudience})
				if p.Preset != preset.ID {
					t.Errorf("taken for %s", p.Preset)
				}
				got := shorten(t, p)
				if g.Want.Refused != "" && strings.HasPrefix(got.Refused, g.Want.Refused) {
					got.Refused = g.Want.Refused
				}
				if err := wouldRegister(p.KeyURL); err != nil && p.Refused == "" {
					t.Errorf("not a key URL: %v", err)
				}
				if !reflect.DeepEqual(got, g.Want) {
					show := func(w wanted) string { text, _ := json.MarshalIndent(w, "", " "); return string(text) }
					t.Errorf("got %s\nwant %s", show(got), show(g.Want))
				}
				for _, text := range append(p.Missing, asMissing(p.Warnings)...) {
					if text.Detail == "" {
						t.Errorf("%s says nothing", text.Member)
					}
				}
			})
		}
	}
}

// wouldRegister tells what the admin API would find wrong with a key URL,
// whatever its url.
func wouldRegister(proposed KeyURL) error {
	issuer := proposed.Issuer
	data, err := json.Marshal(proposed)
	if err != nil {
		return err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	delete(members, "issuer")
	delete(members, "url")
	if data, err = json.Marshal(members); err != nil {
		return err
	}
	rules, err := registry.Change(data).Apply(registry.TokenRules{
		Algorithms: []string{"RS256"}, AudienceClaims: []string{"aud"}, PermissionsClaims: []string{registry.DefaultPermissions},
		PermissionsFormat: registry.FormatArray, MaxLifetime: registry.Seconds(registry.DefaultMaxLifetime),
	})
	if err != nil {
		return err
	}
	k := registry.KeyURL{Issuer: issuer, Format: registry.FormatAuto, TokenRules: rules, Status: registry.Active}
	return k.Validate()
}

func asMissing(warnings []Warning) (list []Missing) {
	for _, warning := range warnings {
		list = append(list, Missing{warning.Code, warning.Detail})
	}
	return list
}
