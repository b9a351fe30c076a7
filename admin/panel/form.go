package panel

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// form is what somebody typed, and what is wrong with it.
type form struct {
	Values  url.Values
	Problem *problem // nil: nothing, or nobody has looked
	fields  []string // pointers that have a field of their own
}

// faulty puts what the API refuses beside the fields that it is about. Anything
// else stays an error.
func (f *form) faulty(err error) error {
	failure := &problem{}
	if !errors.As(err, &failure) {
		return err
	}
	switch failure.Status {
	case http.StatusUnprocessableEntity, http.StatusConflict, http.StatusBadRequest, http.StatusTooManyRequests, http.StatusPreconditionFailed:
		f.Problem = failure
		return nil
	}
	return err
}

// status is that of the page with the form.
func (f *form) status() int {
	if f.Problem != nil {
		return f.Problem.Status
	}
	return http.StatusOK
}

// Rest are the faults of what has no field.
func (f *form) Rest() []fieldError {
	if f.Problem == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(f.Problem.Errors), func(e fieldError) bool {
		return slices.ContainsFunc(f.fields, func(pointer string) bool { return e.Pointer == pointer || strings.HasPrefix(e.Pointer, pointer+"/") })
	})
}

// field is one field of a form, as the template of fields wants it.
type field struct {
	Name, Label, Help, Value, Fault, Kind string

	Required bool
	Options  []option
	Rows     int
	Checked  bool
}

// option is one of a choice.
type option struct {
	Value, Label string
	Chosen       bool
}

// newField makes a field of a form: its kind is text, area, code, number, check
// or choice, of which the options are "value=label".
func newField(f *form, kind, name, label, help string, options ...string) field {
	made := field{Name: name, Label: label, Help: help, Kind: strings.TrimSuffix(kind, "!"), Required: strings.HasSuffix(kind, "!"), Value: f.Values.Get(name), Rows: 3}
	made.Checked = made.Value == "true"
	f.fields = append(f.fields, "/"+name)
	for _, text := range options {
		value, label, _ := strings.Cut(text, "=")
		made.Options = append(made.Options, option{value, label, slices.Contains(f.Values[name], value)})
	}
	if f.Problem != nil {
		for _, fault := range f.Problem.Errors {
			if fault.Pointer == "/"+name || strings.HasPrefix(fault.Pointer, "/"+name+"/") {
				made.Fault = fault.Detail
			}
		}
	}
	return made
}

// changed leaves of a form's members those that differ from what the object's
// own form would send. What nobody touched is not sent: some of what an object
// holds a form cannot say, and saving must not change it.
func changed(body, as map[string]any) (map[string]any, error) {
	rest := map[string]any{}
	for name, value := range body {
		is, err := json.Marshal(inOrder(name, value))
		if err != nil {
			return nil, err
		}
		was, err := json.Marshal(inOrder(name, as[name]))
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(is, was) {
			rest[name] = value
		}
	}
	return rest, nil
}

// inOrder sorts what boxes are ticked for: they have an order of their own.
func inOrder(name string, value any) any {
	if list, ok := value.([]string); ok && (name == "algorithms" || name == "grant_types") {
		return slices.Sorted(slices.Values(list))
	}
	return value
}

// lines are what stands on the lines of a field, without empty ones.
func lines(text string) []string {
	list := []string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}
