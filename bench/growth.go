package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	_ "modernc.org/sqlite"
)

// growth is what an exchange costs beside more and more of something.
type growth struct {
	what   string
	points []point
}

type point struct {
	n       int
	rate    float64 // of the rounds the median
	mib     float64
	started time.Duration // until the first token
}

// crowd is how to make many of something, in a database that has one integrator
// with a client; id is that integrator's.
type crowd struct {
	what  string
	sizes []int
	fill  string // SQL, in which n(i) counts from 1
	token func(idp *provider, n int) ([]string, error)
}

func crowds(quick bool) []crowd {
	most := 100_000
	if quick {
		most = 10_000
	}
	const object = "printf('00000000-0000-7000-8000-%012x', i), "
	return []crowd{
		{"integrators", []int{10, 1000, most}, "INSERT INTO integrators (id, name, status, generation, created_at, updated_at, revision) SELECT " + object + "'Integrator ' || i, 'active', 1, 0, 0, 1 FROM n;" +
			"INSERT INTO key_urls (id, integrator_id, issuer, url, format, algorithms, audiences, permissions_claim, allow_id_token, clientless, max_lifetime, status, revision, created_at, updated_at) " +
			"SELECT " + object + object + "'https://idp' || i || '.example/', 'https://idp' || i || '.example/jwks', 'auto', '[\"RS256\"]', '[]', 'permissions', 0, 0, 86400, 'active', 1, 0, 0 FROM n", nil},
		{"lock holders", []int{10, 1000, most}, "INSERT INTO lock_holders (id, name, country_iso, organization_id, organization_id_suffix, created_at, updated_at, revision) SELECT " + object + "'Lock holder ' || i, 'SE', 'org-' || i, '', 0, 0, 1 FROM n", nil},
		{"revoked tokens", []int{0, 10 * most}, "INSERT INTO revoked_tokens (jti, expires_at, revoked_at) SELECT 'jti-' || i, 4000000000000000, 0 FROM n", nil},
		{"permissions in a token", []int{1, 10, 50, 150}, "", func(idp *provider, n int) ([]string, error) { return idp.sign(1000, n) }},
	}
}

// measureGrowth starts a server for each size and loads them in turn.
func measureGrowth(p plan, folder string, idp *provider, tokens []string, c crowd) (growth, error) {
	g := growth{what: c.what, points: make([]point, len(c.sizes))}
	servers, rates := make([]*server, len(c.sizes)), make([][]float64, len(c.sizes))
	defer func() {
		for _, s := range servers {
			if s != nil {
				s.stop()
			}
		}
	}()
	requests := make([][][]byte, len(c.sizes))
	for i, n := range c.sizes {
		s, started, err := startCrowded(p, folder, idp, c, n)
		servers[i] = s
		if err != nil {
			return g, fmt.Errorf("%d %s: %w", n, c.what, err)
		}
		own := tokens
		if c.token != nil {
			if own, err = c.token(idp, n); err != nil {
				return g, err
			}
		}
		requests[i] = s.exchanges(own)
		g.points[i] = point{n: n, started: started}
	}
	for range p.rounds {
		for i, s := range servers {
			got, err := load(s.address, 16, time.Second/2, p.lasting/2, requests[i])
			if err == nil && got.Refused > 0 {
				err = errors.New("refused: " + got.Sample)
			}
			if err != nil {
				return g, fmt.Errorf("%d %s: %w", c.sizes[i], c.what, err)
			}
			rates[i] = append(rates[i], got.Rate)
		}
	}
	for i, s := range servers {
		slices.Sort(rates[i])
		g.points[i].rate, g.points[i].mib = rates[i][len(rates[i])/2], s.memory()
		fmt.Fprintf(os.Stderr, "%8d %-24s %7.0f/s %4.0f MiB, first token after %v\n", g.points[i].n, c.what, g.points[i].rate, g.points[i].mib, g.points[i].started.Round(time.Millisecond))
	}
	return g, nil
}

// startCrowded makes a database with so many of something, and tells how long a
// start on it takes until the first token.
func startCrowded(p plan, folder string, idp *provider, c crowd, n int) (*server, time.Duration, error) {
	name := fmt.Sprintf("%s-%d", filepath.Base(c.what), n)
	file := filepath.Join(folder, name+".db")
	url := "sqlite://" + file
	first, err := startCambio(p.binary, folder, name, url, "CAMBIO_EXCHANGE_LOG=off")
	if err != nil {
		return nil, 0, err
	}
	err = first.register(idp, 500)
	client := first.client
	first.stop()
	if err != nil {
		return nil, 0, err
	}
	if c.fill != "" {
		if err := fill(file, fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) ", n), c.fill, n); err != nil {
			return nil, 0, err
		}
	}
	began := time.Now()
	s, err := startCambio(p.binary, folder, name, url, "CAMBIO_EXCHANGE_LOG=off")
	if err != nil {
		return nil, 0, err
	}
	s.client = client
	some, err := idp.sign(1, 1)
	if err != nil {
		return s, 0, err
	}
	got, err := load(s.address, 1, 0, time.Millisecond, s.exchanges(some))
	if err == nil && got.Refused > 0 {
		err = fmt.Errorf("refused: %s", got.Sample)
	}
	return s, time.Since(began), err
}
