package main

import (
	"fmt"
	"os"
	"time"
)

// report is everything that was measured.
type report struct {
	plan         plan
	figures      []figure
	idle, loaded map[string]float64
	started      map[string]time.Duration
	growths      []growth
}

func (r *report) write() error {
	out := os.Stdout
	fmt.Fprintf(out, "| operation | server | req/s | × floor | p50 ms | p99 ms | × floor's p99 |\n|---|---|---|---|---|---|---|\n")
	var floor result
	for _, f := range r.figures {
		m := f.median()
		if f.server == "floor" {
			floor = m
		}
		fmt.Fprintf(out, "| %s | %s | %.0f | %.2f | %.2f | %.2f | %.1f |\n", f.operation, f.server, m.Rate, m.Rate/floor.Rate,
			ms(m.percentile(0.5)), ms(m.percentile(0.99)), float64(m.percentile(0.99))/float64(floor.percentile(0.99)))
	}
	fmt.Fprintf(out, "\n| server | started in ms | MiB idle | MiB under load |\n|---|---|---|---|\n")
	for _, f := range r.figures {
		if f.operation == r.figures[0].operation {
			fmt.Fprintf(out, "| %s | %.0f | %.0f | %.0f |\n", f.server, ms(r.started[f.server]), r.idle[f.server], r.loaded[f.server])
		}
	}
	fmt.Fprintf(out, "\n| beside | number | req/s | cost, x the first | MiB | first token after |\n|---|---|---|---|---|---|\n")
	for _, g := range r.growths {
		for _, p := range g.points {
			fmt.Fprintf(out, "| %s | %d | %.0f | %.2f | %.0f | %v |\n", g.what, p.n, p.rate, g.points[0].rate/p.rate, p.mib, p.started.Round(time.Millisecond))
		}
	}
	if r.plan.out == "" {
		return nil
	}
	return r.draw()
}
