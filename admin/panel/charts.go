package panel

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// bars is a chart of attempts by the hour. Everything in it is a number or a
// text: the template writes the SVG, and escapes.
type bars struct {
	Width, Height, Base int
	Bars                []bar
	Label, From, To     string
	Most                int64

	// Good and Bad are all bars as one path each, for a chart so small that
	// nobody points at a bar.
	Good, Bad string
}

type bar struct {
	X, W, GoodY, Good, BadY, Bad int
	Title                        string
}

// chartOf draws statistics: granted below, refused on top of it.
func chartOf(s statistics) bars {
	const step, width, height = 20, 16, 120
	b := bars{Width: max(step*len(s.Hours), step), Height: height, Base: height - 2}
	b.Label = fmt.Sprintf("Attempts by the hour: %d granted, %d refused", s.Granted, s.Refused)
	for _, hour := range s.Hours {
		b.Most = max(b.Most, hour.Granted+hour.Refused)
	}
	scale := func(n int64) int {
		if n == 0 {
			return 0
		}
		return max(int(n*int64(b.Base-4)/max(b.Most, 1)), 2) // one of a million is seen
	}
	for i, hour := range s.Hours {
		good, bad := scale(hour.Granted), scale(hour.Refused)
		b.Bars = append(b.Bars, bar{
			X: i*step + (step-width)/2, W: width, Good: good, GoodY: b.Base - good, Bad: bad, BadY: b.Base - good - bad,
			Title: fmt.Sprintf("%s UTC: %d granted, %d refused", hour.At.UTC().Format("Jan 2 15:04"), hour.Granted, hour.Refused),
		})
	}
	var small [2]strings.Builder
	for _, bar := range b.Bars {
		for i, part := range [2][2]int{{bar.GoodY, bar.Good}, {bar.BadY, bar.Bad}} {
			if part[1] > 0 {
				fmt.Fprintf(&small[i], "M%d %dh%dv%dh-%dz", bar.X, part[0], bar.W, part[1], bar.W)
			}
		}
	}
	b.Good, b.Bad = small[0].String(), small[1].String()
	if len(s.Hours) > 0 {
		b.From, b.To = s.Hours[0].At.UTC().Format("Jan 2 15:04"), s.To.UTC().Format("Jan 2 15:04")
	}
	return b
}

// count is one of a list of counts, widest first.
type count struct {
	Name    string
	N       int64
	Percent int64 // of the first
}

// top gives the largest counts.
func top(counts map[string]int64, most int) []count {
	list := []count{}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, count{Name: name, N: counts[name]})
	}
	slices.SortStableFunc(list, func(a, b count) int { return int(b.N - a.N) })
	list = list[:min(most, len(list))]
	for i := range list {
		list[i].Percent = max(100*list[i].N/max(list[0].N, 1), 1)
	}
	return list
}

// lanes is a chart of how long keys lived, one lane for each.
type lanes struct {
	Width, Height, NowX int
	Lanes               []lane
	Label, From         string
}

type lane struct {
	X, Y, W, TextY     int
	Name, Class, Title string
}

// life is what a lane shows.
type life struct {
	Name, Class string
	From, To    time.Time // To zero: until now
}

func timeline(label string, now time.Time, lives []life) lanes {
	const left, width, row = 210, 560, 24
	l := lanes{Width: left + width + 8, Height: row * max(len(lives), 1), NowX: left + width, Label: label}
	first := now.Add(-time.Hour)
	for _, one := range lives {
		if !one.From.IsZero() && one.From.Before(first) {
			first = one.From
		}
	}
	l.From = first.UTC().Format("2006-01-02 15:04")
	at := func(t time.Time) int {
		return left + int(float64(width)*float64(t.Sub(first))/float64(now.Sub(first)))
	}
	for i, one := range lives {
		to, until := one.To, "now"
		if to.IsZero() || to.After(now) {
			to = now
		} else {
			until = to.UTC().Format("2006-01-02 15:04")
		}
		x := at(one.From)
		l.Lanes = append(l.Lanes, lane{
			X: x, W: max(at(to)-x, 4), Y: i*row + 6, TextY: i*row + 15, Name: cut(one.Name, 24), Class: one.Class,
			Title: fmt.Sprintf("%s: %s, from %s to %s", one.Name, one.Class, one.From.UTC().Format("2006-01-02 15:04"), until),
		})
	}
	return l
}
