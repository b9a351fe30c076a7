package admin

import (
	"net/http"

	"github.com/cambio-oauth/cambio/admin/presets"
)

// presetView is what a person needs to fill in a key URL by hand.
type presetView struct {
	ID           string            `json:"id"`
	Name         string            `json:"name"`
	Docs         string            `json:"docs"`
	VerifiedAt   string            `json:"verified_at"`
	Inputs       []inputView       `json:"inputs"`
	Templates    []templateView    `json:"templates"`
	Algorithms   []string          `json:"algorithms"`
	AllowIDToken bool              `json:"allow_id_token"`
	Help         map[string]string `json:"help"`
}

type inputView struct {
	Name    string `json:"name"`
	Label   string `json:"label"`
	Pattern string `json:"pattern"`
	Example string `json:"example"`
}

// templateView is one form of a provider's issuers and key URLs; {name} stands
// for an input.
type templateView struct {
	Issuer string `json:"issuer"`
	URL    string `json:"url,omitempty"`
	Guess  string `json:"guess,omitempty"`
}

// listPresets tells which identity providers are known.
func (a *API) listPresets(w http.ResponseWriter, _ request) error {
	answer := struct {
		Items []presetView `json:"items"`
	}{Items: []presetView{}}
	for _, preset := range a.config.Presets.Presets() {
		answer.Items = append(answer.Items, viewPreset(preset))
	}
	return a.answer(w, http.StatusOK, answer)
}

func viewPreset(p presets.Preset) presetView {
	view := presetView{
		ID: p.ID, Name: p.Name, Docs: p.Docs, VerifiedAt: p.VerifiedAt, Inputs: []inputView{}, Templates: []templateView{},
		Algorithms: p.Algorithms, AllowIDToken: p.AllowIDToken, Help: p.Advice,
	}
	for _, input := range p.Inputs {
		view.Inputs = append(view.Inputs, inputView{input.Name, input.Label, input.Pattern.String(), input.Example})
	}
	for _, form := range p.Issuers {
		view.Templates = append(view.Templates, templateView{form.Template, form.URL, form.Guess})
	}
	return view
}
