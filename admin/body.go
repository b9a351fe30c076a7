package admin

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"

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
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" && (mediaType != "application/merge-patch+json" || r.Method != http.MethodPatch) {
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

// merge lays members over current: JSON Merge Patch (RFC 7396), where null
// means the default. A member that nobody knows is an error: a rule that was
// misspelt would otherwise not be a rule.
func merge[I any](members map[string]json.RawMessage, current, defaults I) (I, error) {
	known, err := membersOf(defaults)
	if err != nil {
		return current, err
	}
	merged := current
	var faults registry.Invalid
	for name, value := range members {
		pointer := "/" + escapePointer(name)
		fallback, ok := known[name]
		switch {
		case !ok && slices.Contains(readOnly(), name):
			faults.Add(false, pointer, "read_only", "this member is set by the server")
			continue
		case !ok:
			faults.Add(false, pointer, "unknown_member", "there is no such member")
			continue
		case string(value) == "null":
			value = fallback
		}
		one, err := json.Marshal(map[string]json.RawMessage{name: value})
		if err != nil {
			return current, err
		}
		faults.Add(json.Unmarshal(one, &merged) == nil, pointer, "type", "the value is of another type than this member")
	}
	slices.SortFunc(faults, func(a, b registry.FieldError) int {
		if a.Pointer < b.Pointer {
			return -1
		}
		return 1
	})
	return merged, faults.Err()
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
