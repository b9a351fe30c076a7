package admin

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gorilla/mux"

	"github.com/cambio-oauth/cambio/registry"
)

// Hours of statistics.
const (
	defaultHours = 24
	maxHours     = int(registry.CountsKept / time.Hour)
)

var errHours = errors.New("the only query parameter is hours, once: a whole number from 1 to 744")

// countsView is how many attempts there were. The sum of all reasons is refused.
type countsView struct {
	Granted int64            `json:"granted"`
	Refused int64            `json:"refused"`
	Reasons map[string]int64 `json:"reasons"`
}

func (v *countsView) add(c *registry.ExchangeCount) {
	if c.Result == registry.ResultGranted {
		v.Granted += c.Count
		return
	}
	v.Refused += c.Count
	v.Reasons[c.Reason] += c.Count
}

type hourView struct {
	At time.Time `json:"at"`
	countsView
}

// statisticsView are the counts of a window of whole hours, each of which is
// there, the oldest first. The last one is not over.
type statisticsView struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"` // the end of the last hour, which is not included
	countsView
	Hours []hourView `json:"hours"`
}

// allStatistics answers how many attempts there were of all integrators
// together, and of strangers.
func (a *API) allStatistics(w http.ResponseWriter, r request) error {
	if !r.caller.Operator() {
		return registry.ErrNotFound
	}
	return a.statistics(w, r, "")
}

// integratorStatistics answers how many there were of one integrator.
func (a *API) integratorStatistics(w http.ResponseWriter, r request) error {
	integratorID, err := a.service.resolve(r.Context(), r.caller, mux.Vars(r.Request)["integrator"])
	if err != nil {
		return err
	}
	return a.statistics(w, r, integratorID)
}

func (a *API) statistics(w http.ResponseWriter, r request, integratorID string) error {
	hours, err := readHours(r.URL.RawQuery)
	if err != nil {
		return err
	}
	view := newStatistics(a.config.Now(), hours)
	counts, err := a.config.Store.ExchangeCounts(r.Context(), integratorID, view.From, view.To)
	if err != nil {
		return err
	}
	for i := range counts {
		view.add(&counts[i])
		view.Hours[counts[i].Hour.Sub(view.From)/time.Hour].add(&counts[i])
	}
	return a.answer(w, http.StatusOK, view)
}

// newStatistics is a window without attempts that ends with the present hour.
func newStatistics(now time.Time, hours int) *statisticsView {
	to := now.UTC().Truncate(time.Hour).Add(time.Hour)
	view := &statisticsView{
		From: to.Add(-time.Duration(hours) * time.Hour), To: to, countsView: countsView{Reasons: map[string]int64{}}, Hours: make([]hourView, hours),
	}
	for i := range view.Hours {
		view.Hours[i] = hourView{At: view.From.Add(time.Duration(i) * time.Hour), countsView: countsView{Reasons: map[string]int64{}}}
	}
	return view
}

// readHours is strict: a misspelt window would show another one than was asked
// for.
func readHours(query string) (int, error) {
	values, err := url.ParseQuery(query)
	if err != nil || len(values) > 1 || len(values) == 1 && len(values["hours"]) != 1 {
		return 0, errHours
	}
	if len(values) == 0 {
		return defaultHours, nil
	}
	hours, err := strconv.ParseUint(values.Get("hours"), 10, 16)
	if err != nil || hours < 1 || hours > uint64(maxHours) {
		return 0, errHours
	}
	return int(hours), nil
}
