package admin

import (
	"net/http"
	"strings"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/permissions"
	"github.com/cambio-oauth/cambio/registry"
)

// Question asks what an exchange of a subject token would come to.
type Question struct {
	IntegratorID     string
	SubjectToken     string
	SubjectTokenType string
	ClientID         string // empty: without a client, or by any
	Scopes           []string
	Audiences        []string
}

// Explanation is what it would come to, and why.
type Explanation struct {
	Refusal          *grants.Refusal // nil: granted
	Clientless       bool
	Steps            []grants.Step
	Dropped          []permissions.Dropped
	Issuer           string // iss of the subject token
	SubjectTokenHash string
	Token            *ExplainedToken // nil when refused
	Audit            *registry.Audit // of a change on trial
}

// ExplainedToken is what the issued token would hold.
type ExplainedToken struct {
	Subject       string
	Audience      []string
	ClientID      string
	Scopes        []string
	IntegratorID  string
	LockHolderIDs []string
	SubjectIssuer string
	SubjectID     string
	ExpiresAt     time.Time
}

// explainsPerMinute of an integrator on one replica: each may cost a signature
// and a fetch of keys.
const explainsPerMinute = 60

// questionInput is the body of exchanges/explain.
type questionInput struct {
	SubjectToken     string              `json:"subject_token"`
	SubjectTokenType string              `json:"subject_token_type"`
	ClientID         string              `json:"client_id"`
	Scope            string              `json:"scope"`
	Audience         registry.ClaimNames `json:"audience"` // one, or a list
}

type explanationView struct {
	Result           string        `json:"result"`
	Code             string        `json:"error,omitempty"`
	Reason           string        `json:"reason,omitempty"`
	Detail           string        `json:"error_description,omitempty"`
	Hint             string        `json:"hint,omitempty"`
	Clientless       bool          `json:"clientless"`
	Steps            []stepView    `json:"steps"`
	Scopes           []string      `json:"scopes"`
	Dropped          []droppedView `json:"dropped"`
	Token            *tokenView    `json:"token,omitempty"`
	Audit            *auditView    `json:"audit,omitempty"`
	SubjectTokenHash string        `json:"subject_token_sha256"`
}

type stepView struct {
	Name     string `json:"name"`
	KeyURL   string `json:"key_url,omitempty"`
	Result   string `json:"result"`
	Reason   string `json:"reason,omitempty"`
	Detail   string `json:"detail,omitempty"`
	Expected string `json:"expected,omitempty"`
	Found    string `json:"found,omitempty"`
	Hint     string `json:"hint,omitempty"`
}

type droppedView struct {
	Permission string `json:"permission"`
	Reason     string `json:"reason"`
	Detail     string `json:"detail"`
}

// tokenView has the members of the issued token.
type tokenView struct {
	Subject       string   `json:"sub"`
	Audience      []string `json:"aud"`
	ExpiresAt     int64    `json:"exp"`
	ClientID      string   `json:"client_id,omitempty"`
	Scope         string   `json:"scope"`
	IntegratorID  string   `json:"integrator_id"`
	LockHolderIDs []string `json:"lock_holder_ids,omitempty"`
	SubjectIssuer string   `json:"subject_issuer"`
	SubjectID     string   `json:"subject"`
}

// explainExchange answers what an exchange would come to. The token is in no
// log and in no record.
func (a *API) explainExchange(w http.ResponseWriter, r request) error {
	integratorID, members, err := a.posted(w, r)
	if err != nil {
		return err
	}
	defaults := questionInput{SubjectTokenType: grants.TokenTypeJWT, Audience: registry.ClaimNames{}}
	in, err := merge(members, defaults, defaults)
	if err != nil {
		return err
	}
	q, err := in.question(integratorID)
	if err != nil {
		return err
	}
	quota := checkQuota{integratorID: integratorID, perMinute: explainsPerMinute}
	if wait := a.explains.take(quota, a.config.Now()); wait > 0 {
		return tooManyError{wait, quota.perMinute, "explanations"}
	}
	explanation, err := a.config.Explain(r.Context(), q)
	if err != nil {
		return err
	}
	view := viewExplanation(explanation)
	if err := a.addHints(r.Context(), q, explanation, &view); err != nil {
		return err
	}
	return a.answer(w, http.StatusOK, view)
}

// question holds a body against the bounds of a token request.
func (in *questionInput) question(integratorID string) (Question, error) {
	q := Question{
		IntegratorID: integratorID, SubjectToken: in.SubjectToken, SubjectTokenType: in.SubjectTokenType, ClientID: in.ClientID, Audiences: in.Audience,
	}
	var faults registry.Invalid
	faults.Add(in.SubjectToken != "", "/subject_token", "required", "want the token of the identity provider, as it was sent to be exchanged")
	scopes, refusal := grants.SplitScope(in.Scope)
	if refusal != nil {
		faults.Add(false, "/scope", "invalid", refusal.Description)
	}
	q.Scopes = scopes
	return q, faults.Err()
}

func viewExplanation(e *Explanation) explanationView {
	view := explanationView{
		Result: registry.ResultGranted, Clientless: e.Clientless, Steps: []stepView{}, Scopes: []string{}, Dropped: []droppedView{},
		Audit: viewAudit(e.Audit), SubjectTokenHash: e.SubjectTokenHash,
	}
	if e.Refusal != nil {
		view.Result, view.Code, view.Reason, view.Detail = registry.ResultRefused, string(e.Refusal.Code), string(e.Refusal.Reason), e.Refusal.Description
	}
	for _, step := range e.Steps {
		view.Steps = append(view.Steps, stepView{
			Name: step.Name, KeyURL: step.KeyURL, Result: string(step.Outcome), Reason: string(step.Reason),
			Detail: step.Detail, Expected: step.Expected, Found: step.Found,
		})
	}
	for _, dropped := range e.Dropped {
		view.Dropped = append(view.Dropped, droppedView{dropped.Permission, dropped.Reason, whyDropped(dropped.Reason)})
	}
	if t := e.Token; t != nil {
		view.Scopes = t.Scopes
		view.Token = &tokenView{
			Subject: t.Subject, Audience: t.Audience, ExpiresAt: t.ExpiresAt.Unix(), ClientID: t.ClientID, Scope: strings.Join(t.Scopes, " "),
			IntegratorID: t.IntegratorID, LockHolderIDs: t.LockHolderIDs, SubjectIssuer: t.SubjectIssuer, SubjectID: t.SubjectID,
		}
	}
	return view
}

// whyDropped says for people why a permission became no scope.
func whyDropped(reason string) string {
	switch reason {
	case permissions.DroppedMalformed:
		return "it names no lock holder by the grammar (" + permissions.LockHolderPrefix + "CC.ORG.SUFFIX), or would make a scope that cannot be granted"
	case permissions.DroppedUnknownLockHolder:
		return "the platform has no such lock holder: letters are compared as they stand, and the last dot belongs to it"
	case permissions.DroppedNotEntitled:
		return "the lock holder is not linked to this integrator: an operator can link it"
	case permissions.DroppedNoRule:
		return "no scope rule of this integrator matches it: an operator can add one"
	}
	return ""
}
