//go:build linux

package chaos

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// garbage is a row that no version of Cambio wrote. $1 in it stands for the
// integrator's id.
type garbage struct {
	name      string
	statement string
	mended    bool // by itself: exchanges go on
}

func allGarbage() []garbage {
	return []garbage{
		{"a list that is no JSON", "UPDATE key_urls SET algorithms = 'ES256' WHERE integrator_id = $1", false},
		{"a list of something else", "UPDATE key_urls SET required_claims = '{\"a\":1}' WHERE integrator_id = $1", false},
		{"an expression that is none", "UPDATE key_urls SET condition = 'claims.(' WHERE integrator_id = $1", false},
		{"a client's grants", "UPDATE clients SET grant_types = '' WHERE integrator_id = $1", false},
		{"a client's scopes", "UPDATE clients SET scopes = '7' WHERE integrator_id = $1", false},
		{"an unknown method", "UPDATE clients SET auth_method = 'magic' WHERE integrator_id = $1", false},
		{"a secret", "UPDATE client_secrets SET hash = '' WHERE client_id IN (SELECT client_id FROM clients WHERE integrator_id = $1)", false},
		{"kept keys", "UPDATE key_documents SET keys = 'keys' WHERE integrator_id = $1", true},
	}
}

// R25: a row of garbage fails closed, alone.
func TestR25GarbageRows(t *testing.T) {
	beside(t)
	r := onPostgres(t, 1)
	parties := map[string]party{}
	for _, g := range allGarbage() {
		p := r.newParty(g.name)
		parties[g.name] = p
		if status, answer, err := r.exchangeAs(p, r.replicas[0].url(), r.subjectToken("somebody")); err != nil || status != http.StatusOK {
			t.Fatalf("%s, before: %d %v %v", g.name, status, answer, err)
		}
	}
	alone := 0
	for _, g := range allGarbage() {
		t.Run(strings.ReplaceAll(g.name, " ", "_"), func(t *testing.T) {
			if r.failsAlone(t, g, parties[g.name]) {
				alone++
			}
		})
	}
	figure(t, "the object fails closed, others are unaffected", "%d of %d kinds of garbage fail closed and alone", alone, len(allGarbage()))
}

// failsAlone puts garbage in the place of a row for longer than a replica lives
// on a configuration that it cannot read again.
func (r *rig) failsAlone(t *testing.T, g garbage, broken party) bool {
	statement := strings.ReplaceAll(g.statement, "$1", "'"+broken.integrator+"'")
	table := strings.Fields(statement)[1]
	r.postgres.mustExec("DROP TABLE IF EXISTS kept", "CREATE TABLE kept AS SELECT * FROM "+table, statement, "UPDATE changes SET seq = seq + 1")
	defer func() {
		column := strings.Fields(statement)[3]
		key := map[string]string{"key_urls": "id", "clients": "id", "client_secrets": "client_id", "key_documents": "integrator_id"}[table]
		r.postgres.mustExec("UPDATE "+table+" SET "+column+" = kept."+column+" FROM kept WHERE kept."+key+" = "+table+"."+key, "UPDATE changes SET seq = seq + 1")
		r.success(30 * time.Second)
	}()
	time.Sleep(1500 * time.Millisecond)
	token, others, own := r.subjectToken("somebody"), 0, 0
	var last object
	for began := time.Now(); time.Since(began) < 5*time.Second; time.Sleep(50 * time.Millisecond) {
		if status, answer, err := r.exchange(r.replicas[0].url(), token); err != nil || status != http.StatusOK {
			others++
			last = answer
		}
		if status, _, err := r.exchangeAs(broken, r.replicas[0].url(), token); err == nil && status == http.StatusOK {
			own++
		}
	}
	if others > 0 {
		t.Errorf("%d exchanges of another integrator failed: %v", others, last)
	}
	if own > 0 && !g.mended {
		t.Errorf("%d exchanges of the integrator with the garbage succeeded", own)
	}
	return !t.Failed()
}
