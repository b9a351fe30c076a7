package admin

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"github.com/cambio-oauth/cambio/grants/strictjson"
	"github.com/cambio-oauth/cambio/registry"
)

const maxBodyBytes = 64 << 10

// readOnly are members that answers have and requests must not.
func readOnly() []string {
	return []string{"id", "created_at", "updated_at", "client_id", "client_secret", "health"}
}

// readMembers reads the members of a JSON body.
func readMembers(w http.ResponseWriter, r *http.Request) (map[string]json.RawMessage, error) {
	mediaType, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, named := parameters["charset"]
	if err != nil || named && !strings.EqualFold(charset, "utf-8") {
		return nil, errMediaType
	}
	if mediaType != "application/json" && (mediaType != "application/merge-patch+json" || r.Method != http.MethodPatch) {
		return nil, errMediaType
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, errTooLarge
	}
	var members map[string]json.RawMessage
	if err != nil || strictjson.Unmarshal(body, &members) != nil || members == nil {
		return nil, errMalformed
	}
	return members, nil
}

// posted gives the integrator that a request is about, and the members of its
// body.
func (a *API) posted(w http.ResponseWriter, r request) (integratorID string, members map[string]json.RawMessage, err error) {
	if integratorID, err = a.service.resolve(r.Context(), r.caller, mux.Vars(r.Request)["integrator"]); err != nil {
		return "", nil, err
	}
	members, err = readMembers(w, r.Request)
	return integratorID, members, err
}

// mustHaveNoBody: what stands in a body that nobody reads would be lost without
// a word, an overlap for one.
func mustHaveNoBody(r request) error {
	if n, err := io.ReadFull(r.Body, make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return errBody
	}
	return nil
}

// merge lays members over current: JSON Merge Patch (RFC 7396), where null
// means the default. A member that nobody knows is an error: a rule that was
// misspelt would otherwise not be a rule. The answer shares nothing with
// current.
func merge[I any](members map[string]json.RawMessage, current, defaults I) (merged I, err error) {
	values, err := membersOf(current)
	if err != nil {
		return merged, err
	}
	fallback, err := membersOf(defaults)
	if err != nil {
		return merged, err
	}
	var faults registry.Invalid
	there := strings.Join(slices.Sorted(maps.Keys(fallback)), ", ")
	for name, value := range members {
		pointer := "/" + escapePointer(name)
		_, known := fallback[name]
		switch {
		case known && string(value) == "null" && neverNull(current, name):
			faults.Add(false, pointer, "type", "null would mean the default, which is not what this member is set to by leaving it out")
		case known && string(value) == "null":
			values[name] = fallback[name]
		case known:
			values[name] = mergePatch(values[name], value)
		case slices.Contains(readOnly(), name):
			faults.Add(false, pointer, "read_only", "this member is set by the server")
		default:
			faults.Add(false, pointer, "unknown_member", "there is no such member; there are "+there)
		}
	}
	for name, value := range values { // one by one, to name each that does not fit
		one, err := json.Marshal(map[string]json.RawMessage{name: value})
		if err != nil {
			return merged, err
		}
		faults.Add(json.Unmarshal(one, &merged) == nil, "/"+name, "type", "the value is of another type than this member")
	}
	slices.SortFunc(faults, func(a, b registry.FieldError) int { return strings.Compare(a.Pointer, b.Pointer) })
	return merged, faults.Err()
}

// neverNull tells members for which the default would do something.
func neverNull(input any, name string) bool {
	strict, ok := input.(interface{ neverNull() []string })
	return ok && slices.Contains(strict.neverNull(), name)
}

// mergePatch is RFC 7396 §2, below the first level.
func mergePatch(target, patch json.RawMessage) json.RawMessage {
	var members, changes map[string]json.RawMessage
	if json.Unmarshal(patch, &changes) != nil || changes == nil {
		return patch
	}
	if json.Unmarshal(target, &members) != nil || members == nil {
		members = map[string]json.RawMessage{}
	}
	for name, value := range changes {
		if string(value) == "null" {
			delete(members, name)
			continue
		}
		members[name] = mergePatch(members[name], value)
	}
	merged, err := json.Marshal(members)
	if err != nil {
		return patch
	}
	return merged
}

func membersOf(value any) (map[string]json.RawMessage, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	return members, json.Unmarshal(data, &members)
}

// escapePointer writes a name as a JSON Pointer token (RFC 6901 §3), cut to
// what is worth repeating.
func escapePointer(name string) string {
	const limit = 64
	var token []byte
	for i := 0; i < len(name) && i < limit; i++ {
		switch name[i] {
		case '~':
			token = append(token, "~0"...)
		case '/':
			token = append(token, "~1"...)
		default:
			token = append(token, name[i])
		}
	}
	return string(token)
}
