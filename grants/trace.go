package grants

// Outcome of a step.
type Outcome string

// Outcomes of a step.
const (
	Passed  Outcome = "passed"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped" // a step before it failed, or it does not apply
)

// Step is one check of a judgement, for whoever asks why.
type Step struct {
	Name     string
	KeyURL   string // id of the key URL whose rules were applied; empty where none was
	Outcome  Outcome
	Reason   Reason // when it failed
	Detail   string
	Expected string
	Found    string
}

// Trace collects the steps of a judgement. A nil Trace collects nothing: that
// is how a grant judges.
type Trace struct {
	Steps  []Step
	KeyURL string // of the steps that follow
}

// Check notes a step and tells whether it failed. passed says what was expected
// and found where it did not; nobody calls it without a trace.
func (t *Trace) Check(name string, refusal *Refusal, passed func() (expected, found string)) (failed bool) {
	if t == nil {
		return refusal != nil
	}
	step := Step{Name: name, KeyURL: t.KeyURL, Outcome: Passed}
	if refusal != nil {
		step.Outcome, step.Reason, step.Detail = Failed, refusal.Reason, refusal.Description
		step.Expected, step.Found = refusal.Expected, refusal.Found
	} else if passed != nil {
		step.Expected, step.Found = passed()
	}
	t.Steps = append(t.Steps, step)
	return refusal != nil
}

// Skip notes those of some steps that were not reached for the same key URL.
func (t *Trace) Skip(names ...string) {
	if t == nil {
		return
	}
	for _, name := range names {
		if !t.has(name) {
			t.Steps = append(t.Steps, Step{Name: name, KeyURL: t.KeyURL, Outcome: Skipped})
		}
	}
}

func (t *Trace) has(name string) bool {
	for _, step := range t.Steps {
		if step.Name == name && step.KeyURL == t.KeyURL {
			return true
		}
	}
	return false
}
