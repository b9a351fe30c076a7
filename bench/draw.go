package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// draw writes the pictures of docs/performance.md. They are text, and read on a
// light and on a dark page.
func (r *report) draw() error {
	for name, picture := range map[string]string{"throughput.svg": r.throughput(), "latency.svg": r.latency()} {
		if err := os.WriteFile(filepath.Join(r.plan.out, name), []byte(picture), 0o644); err != nil {
			return err
		}
	}
	return nil
}

const style = `<style>text{font:13px system-ui,sans-serif;fill:#556}.v{font-weight:600}.f{fill:#99a}.c{fill:#3f6bea}.g{stroke:#8884;stroke-width:1}@media(prefers-color-scheme:dark){text{fill:#bbc}}</style>`

// throughput draws a bar for each operation and server.
func (r *report) throughput() string {
	var b strings.Builder
	most, y := 0.0, 20
	for _, f := range r.figures {
		most = max(most, f.median().Rate)
	}
	operation := ""
	for _, f := range r.figures {
		if f.operation != operation {
			operation = f.operation
			y += 14
			fmt.Fprintf(&b, `<text class="v" x="8" y="%d">%s</text>`, y, operation)
			y += 10
		}
		class, rate := "c", f.median().Rate
		if f.server == "floor" {
			class = "f"
		}
		fmt.Fprintf(&b, `<text x="150" y="%d" text-anchor="end">%s</text><rect class="%s" x="160" y="%d" width="%.0f" height="14" rx="3"/><text x="%.0f" y="%d">%.0f/s</text>`,
			y+12, f.server, class, y, 480*rate/most, 166+480*rate/most, y+12, rate)
		y += 20
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 %d" role="img" aria-label="Requests a second">%s%s</svg>`, y+10, style, b.String())
}

// latency draws how many of the exchanges were answered by when.
func (r *report) latency() string {
	const width, height, left = 600.0, 260.0, 62.0
	x := func(ms float64) float64 { return left + width*math.Log10(max(ms, 0.1)/0.1)/3.5 }
	var b strings.Builder
	for _, ms := range []float64{0.1, 1, 10, 100} {
		fmt.Fprintf(&b, `<line class="g" x1="%.0f" x2="%.0f" y1="10" y2="%.0f"/><text x="%.0f" y="%.0f" text-anchor="middle">%g ms</text>`, x(ms), x(ms), height, x(ms), height+18, ms)
	}
	for _, p := range []float64{0, 0.5, 0.9, 0.99, 0.999} {
		fmt.Fprintf(&b, `<text x="44" y="%.0f" text-anchor="end">%g %%</text>`, height-(height-10)*depth(p)+4, 100*p)
	}
	colours := []string{"#99a", "#3f6bea", "#2a9d6f", "#c6902b", "#b04bc9", "#d9655c"}
	drawn := 0
	for _, f := range r.figures {
		if f.operation != r.figures[0].operation {
			continue
		}
		var path []string
		sorted := slices.Clone(f.median().Latencies)
		for p := 0.0; p < 0.9995; p = 1 - (1-p)*0.93 {
			path = append(path, fmt.Sprintf("%.1f,%.1f", x(float64(sorted[int(p*float64(len(sorted)))].Microseconds())/1000), height-(height-10)*depth(p)))
		}
		colour := colours[drawn%len(colours)]
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/><rect x="470" y="%d" width="12" height="4" fill="%s"/><text x="488" y="%d">%s</text>`,
			colour, strings.Join(path, " "), 120+18*drawn, colour, 126+18*drawn, f.server)
		drawn++
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 692 %.0f" role="img" aria-label="How many exchanges were answered by when">%s%s</svg>`, height+30, style, b.String())
}

// depth places a share so that each nine of it has as much room.
func depth(p float64) float64 { return -math.Log10(1-p) / 3.3 }
