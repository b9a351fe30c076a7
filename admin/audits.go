package admin

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/cambio-oauth/cambio/registry"
)

// auditView is what a change on trial would have done in one attempt.
type auditView struct {
	KeyURL string   `json:"key_url"`
	Result string   `json:"result"`
	Code   string   `json:"error,omitempty"`
	Reason string   `json:"reason,omitempty"`
	Lost   []string `json:"lost"`
	Gained []string `json:"gained"`
}

func viewAudit(a *registry.Audit) *auditView {
	if a == nil {
		return nil
	}
	keyURL, _, _ := strings.Cut(a.ChangeID, ":")
	return &auditView{KeyURL: keyURL, Result: a.Result, Code: a.Code, Reason: a.Reason, Lost: append([]string{}, a.Lost...), Gained: append([]string{}, a.Gained...)}
}

// auditSummaryView is what a change on trial would have done in all attempts.
type auditSummaryView struct {
	Change    json.RawMessage  `json:"change"`
	Since     time.Time        `json:"since"` // when the key URL was changed last: the trial began, or began again
	Exchanges int64            `json:"exchanges"`
	Granted   int64            `json:"granted"`
	WouldFail int64            `json:"would_fail"`
	WouldPass int64            `json:"would_pass"`
	Reasons   map[string]int64 `json:"reasons"`
	Lost      map[string]int64 `json:"scopes_lost"`
	Gained    map[string]int64 `json:"scopes_gained"`
	First     time.Time        `json:"first_at,omitzero"`
	Last      time.Time        `json:"last_at,omitzero"`
	Complete  bool             `json:"complete"`
}

// summarizeAudit answers what the change of a key URL in audit would have done
// since it is on trial.
func (a *API) summarizeAudit(w http.ResponseWriter, r request) error {
	ctx := r.Context()
	integratorID, err := a.service.resolve(ctx, r.caller, mux.Vars(r.Request)["integrator"])
	if err != nil {
		return err
	}
	k, err := a.config.Store.KeyURL(ctx, integratorID, mux.Vars(r.Request)["key_url"])
	switch {
	case err != nil:
		return err
	case k.Audited == nil:
		return registry.ErrNotFound
	}
	leave, err := a.reading.start(ctx, integratorID)
	if err != nil {
		return err
	}
	defer leave()
	sum, err := a.config.Store.AuditSummary(ctx, integratorID, k.AuditID())
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(&k.Object))
	return a.answer(w, http.StatusOK, auditSummaryView{
		Change: json.RawMessage(k.Audited), Since: k.UpdatedAt, Exchanges: sum.Exchanges, Granted: sum.Granted,
		WouldFail: sum.WouldFail, WouldPass: sum.WouldPass, Reasons: sum.Reasons, Lost: sum.Lost, Gained: sum.Gained,
		First: sum.First, Last: sum.Last, Complete: !sum.Incomplete,
	})
}
