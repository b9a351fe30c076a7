package grants

import (
	"net/url"
	"slices"
	"strings"
)

// SplitScope splits the value of a scope parameter into its scope-tokens, each
// once, in order (RFC 6749 §3.3). Spaces alone mean that the parameter was
// left out (RFC 6749 §3.2).
func SplitScope(value string) ([]string, *Refusal) {
	var scopes []string
	for scope := range strings.SplitSeq(value, " ") {
		switch {
		case scope == "" || slices.Contains(scopes, scope):
		case !ValidScope(scope):
			return nil, Refuse(InvalidScope, "scope holds a character that RFC 6749 section 3.3 does not allow")
		case len(scopes) == MaxRequestedScopes:
			return nil, Refuse(InvalidRequest, "more than %d scopes were requested", MaxRequestedScopes)
		default:
			scopes = append(scopes, scope)
		}
	}
	return scopes, nil
}

// CheckGranted holds a set of scopes against the two rules every issued token
// obeys: it is never without scope, and never longer than MaxGrantedScopeBytes.
func CheckGranted(scopes []string) *Refusal {
	if len(scopes) == 0 {
		return Refuse(InvalidScope, "no scope is left to grant")
	}
	if n := len(strings.Join(scopes, " ")); n > MaxGrantedScopeBytes {
		return Refuse(InvalidScope, "the granted scope would take %d bytes, at most %d are allowed: request fewer scopes", n, MaxGrantedScopeBytes)
	}
	return nil
}

// Targets decides the audience of the token to issue. Both audience (RFC 8693)
// and resource (RFC 8707) go through this one gate, so that neither is a way
// around the other. A target that is not known refuses the request, and so does
// a resource that is no absolute URI, whatever is registered.
func Targets(audiences, resources []string, known func(string) (bool, error), fallback string) ([]string, *Refusal) {
	if len(audiences)+len(resources) > MaxTargets {
		return nil, Refuse(InvalidTarget, "more than %d audience and resource values were requested", MaxTargets)
	}
	var targets []string
	for i, target := range slices.Concat(audiences, resources) {
		if target == "" { // RFC 6749 §3.2: that means left out
			continue
		}
		if i >= len(audiences) && !absoluteURI(target) {
			return nil, Refuse(InvalidTarget, "a requested resource is not an absolute URI without a fragment (RFC 8707 section 2)")
		}
		if slices.Contains(targets, target) {
			continue
		}
		ok, err := known(target)
		switch {
		case err != nil:
			return nil, Unavailable(DatabaseUnavailable, "the requested audience or resource cannot be looked up at the moment", err)
		case !ok:
			return nil, Refuse(InvalidTarget, "a requested audience or resource is not a registered resource server").
				Expecting("the audience of one, byte for byte, including a final slash", Shown(target))
		}
		targets = append(targets, target)
	}
	if len(targets) == 0 {
		targets = []string{fallback}
	}
	return targets, nil
}

// absoluteURI: RFC 3986 §4.3, which has no fragment.
func absoluteURI(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.IsAbs() && !strings.Contains(text, "#")
}
