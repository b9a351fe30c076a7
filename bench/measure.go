package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// plan is how to measure.
type plan struct {
	binary  string
	rounds  int
	lasting time.Duration
	tokens  int
	only    string
	out     string
	quick   bool
}

// operation is one kind of load.
type operation struct {
	name        string
	connections int
	requests    func(s *server) ([][]byte, error)
}

// figure is what was measured of one operation on one server, round by round.
type figure struct {
	operation, server string
	rounds            []result
}

// median gives that of the rates, and its round.
func (f figure) median() result {
	sorted := slices.Clone(f.rounds)
	slices.SortFunc(sorted, func(a, b result) int { return int(a.Rate - b.Rate) })
	return sorted[len(sorted)/2]
}

type setup struct {
	name, database string
	environ        []string
}

func setups() []setup {
	return []setup{
		{"SQLite durable", "sqlite", []string{"CAMBIO_EXCHANGE_LOG=durable"}},
		{"SQLite async", "sqlite", []string{"CAMBIO_EXCHANGE_LOG=async"}},
		{"SQLite off", "sqlite", []string{"CAMBIO_EXCHANGE_LOG=off"}},
		{"PostgreSQL durable", "postgres", []string{"CAMBIO_EXCHANGE_LOG=durable"}},
		{"PostgreSQL async", "postgres", []string{"CAMBIO_EXCHANGE_LOG=async"}},
	}
}

const maxPermissions = 50

func measure(p plan) error {
	folder, err := os.MkdirTemp("", "cambio-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if p.binary, err = filepath.Abs(p.binary); err != nil {
		return err
	}
	idp, err := newProvider()
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "signing %d tokens\n", p.tokens+p.tokens/4)
	ten, err := idp.sign(p.tokens, 10)
	if err != nil {
		return err
	}
	fifty, err := idp.sign(p.tokens/4, maxPermissions)
	if err != nil {
		return err
	}
	if err := pin(); err != nil {
		return err
	}
	servers, err := p.start(folder, idp)
	defer func() {
		for _, s := range servers {
			s.stop()
		}
	}()
	if err != nil {
		return err
	}
	report := &report{plan: p, idle: map[string]float64{}, loaded: map[string]float64{}, started: map[string]time.Duration{}}
	for _, s := range servers {
		report.idle[s.name], report.started[s.name] = s.memory(), s.started
	}
	for _, o := range operations(ten, fifty) {
		if err := report.measure(p, o, servers); err != nil {
			return err
		}
	}
	for _, s := range servers {
		report.loaded[s.name] = s.memory()
	}
	if p.only == "" {
		for _, c := range crowds(p.quick) {
			g, err := measureGrowth(p, folder, idp, ten, c)
			if err != nil {
				return err
			}
			report.growths = append(report.growths, g)
		}
	}
	return report.write()
}

// start starts the floor and every Cambio. They idle beside each other: only
// the one that is loaded works.
func (p plan) start(folder string, idp *provider) ([]*server, error) {
	floor, err := startFloor(folder, idp)
	if err != nil {
		return nil, err
	}
	servers := []*server{floor}
	for _, how := range setups() {
		if !strings.Contains(how.name, p.only) {
			continue
		}
		database, drop := "", func() {}
		if how.database == "postgres" {
			if database, drop, err = postgres(); err != nil {
				return servers, err
			}
		}
		s, err := startCambio(p.binary, folder, how.name, database, how.environ...)
		if err != nil {
			return servers, err
		}
		s.drop = drop
		servers = append(servers, s)
		if err := s.register(idp, maxPermissions); err != nil {
			return servers, err
		}
	}
	return servers, nil
}

func operations(ten, fifty []string) []operation {
	exchange := func(tokens []string) func(s *server) ([][]byte, error) {
		return func(s *server) ([][]byte, error) { return s.exchanges(tokens), nil }
	}
	return []operation{
		{"exchange, 10 permissions", 16, exchange(ten)},
		{"exchange, 10 permissions, 64 connections", 64, exchange(ten)},
		{"exchange, 50 permissions", 16, exchange(fifty)},
		{"client credentials", 16, func(s *server) ([][]byte, error) {
			id, secret := "operator", operatorSecret
			return [][]byte{s.request("/oauth2/token", id, secret, url.Values{"grant_type": {"client_credentials"}, "scope": {"admin"}})}, nil
		}},
		{"introspection", 16, introspections},
	}
}

// introspections are of a hundred tokens, of which one is revoked.
func introspections(s *server) ([][]byte, error) {
	id, secret := "operator", operatorSecret
	var requests [][]byte
	for i := range 100 {
		token, err := s.token(id, secret, url.Values{"grant_type": {"client_credentials"}, "scope": {"admin"}})
		if err != nil {
			return nil, err
		}
		if i == 0 && s.name != "floor" {
			revoke := s.request("/oauth2/revoke", id, secret, url.Values{"token": {token}})
			if _, err := load(s.address, 1, 0, time.Millisecond, [][]byte{revoke}); err != nil {
				return nil, err
			}
		}
		requests = append(requests, s.request("/oauth2/introspect", id, secret, url.Values{"token": {token}}))
	}
	return requests, nil
}

// measure loads the servers in turn, round by round, so that a machine whose
// mood changes changes it for all of them.
func (r *report) measure(p plan, o operation, servers []*server) error {
	figures := make([]figure, len(servers))
	for round := range p.rounds {
		for i, s := range servers {
			requests, err := o.requests(s)
			if err != nil {
				return err
			}
			got, err := load(s.address, o.connections, time.Second, p.lasting, requests)
			if err != nil {
				return fmt.Errorf("%s on %s: %w", o.name, s.name, err)
			}
			if got.Refused > 0 {
				return fmt.Errorf("%s on %s: %d refused: %s", o.name, s.name, got.Refused, got.Sample)
			}
			figures[i].operation, figures[i].server = o.name, s.name
			figures[i].rounds = append(figures[i].rounds, got)
			fmt.Fprintf(os.Stderr, "%d %-44s %-20s %7.0f/s p50 %6.2f ms p99 %6.2f ms\n", round+1, o.name, s.name, got.Rate,
				ms(got.percentile(0.5)), ms(got.percentile(0.99)))
		}
	}
	r.figures = append(r.figures, figures...)
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
