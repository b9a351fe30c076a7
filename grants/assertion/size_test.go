package assertion_test

import (
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
)

// allocated gives the bytes that f allocates: the least of several runs, for
// what else the process does is counted too. It is a count, not a clock.
func allocated(f func()) uint64 {
	least := uint64(math.MaxUint64)
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// JWT-22: CVE-2025-30204, CVE-2025-27144, CVE-2025-22868, CVE-2025-66506. A text
// of dots costs no slice of parts: at most 4 bytes for each byte of it, and the
// texts of the refusal.
func TestNumberOfParts(t *testing.T) {
	const texts = 2 << 10
	sound := strings.Split(sign(soundHeader, soundClaims), ".")
	whole := strings.Join(sound, ".")
	for _, test := range []struct{ name, raw, text string }{
		{"nothing", "", ": 1 parts"},
		{"no dot", sound[0], ": 1 parts"},
		{"no JWT at all", "ory_at_abc", ": 1 parts"},
		{"one dot", sound[0] + "." + sound[1], ": 2 parts"},
		{"two dots alone", "..", "header: not valid JSON"},
		{"an empty header", "." + sound[1] + "." + sound[2], "header: not valid JSON"},
		{"an empty payload", sound[0] + ".." + sound[2], "payload: not valid JSON"},
		{"three dots", whole + ".AAAA", ": 4 parts"},
		{"a trailing dot", whole + ".", ": 4 parts"},
		{"a leading dot", "." + whole, ": 4 parts"},
		{"a.b.c.", "a.b.c.", ": 4 parts"},
		{"four dots", "....", ": 5 parts"},
		{"five dots", ".....", ": 6 parts"},
		{"10,000 dots", strings.Repeat(".", 10_000), ": 10001 parts"},
		{"10,000 dots after a sound token", whole + strings.Repeat(".", 10_000), ": 10003 parts"},
		{"32 KiB of dots", strings.Repeat(".", grants.MaxSubjectTokenBytes), ": 32769 parts"},
		{"Bearer before it", "Bearer " + whole, "header: not canonical base64url"},
	} {
		t.Run(test.name, func(t *testing.T) {
			refused(t, test.raw, grants.Malformed, test.text)
			if bytes := allocated(func() { judge(test.raw, nil, nil) }); bytes > uint64(4*len(test.raw)+texts) {
				t.Errorf("%d bytes were allocated for %d", bytes, len(test.raw))
			}
		})
	}
	t.Run("an empty signature", func(t *testing.T) { unverified(t, sound[0]+"."+sound[1]+".") })
}

// ofLength makes a sound token exactly as long as wanted: the pad makes it
// long, the kid absorbs what base64 rounds.
func ofLength(t *testing.T, n int) string {
	t.Helper()
	for kid := range 8 {
		header := soundHeader.with("kid", fmt.Sprintf("%q", "k1"+strings.Repeat("x", kid)))
		missing := n - len(sign(header, soundClaims.with("pad", `""`)))
		for pad := missing*3/4 - 4; pad <= missing*3/4+4; pad++ {
			if raw := sign(header, soundClaims.with("pad", `"`+strings.Repeat("x", pad)+`"`)); len(raw) == n {
				return raw
			}
		}
	}
	t.Fatalf("no token of %d bytes", n)
	return ""
}

// JWT-27: CVE-2025-30204, F1. A token costs a few times its length in memory,
// one that is too large costs nothing.
func TestSizeOfTheToken(t *testing.T) {
	for _, n := range []int{grants.MaxSubjectTokenBytes - 1, grants.MaxSubjectTokenBytes} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			raw := ofLength(t, n)
			accepted(t, raw)
			if bytes := allocated(func() { judge(raw, soundPolicy(), finding(rightKey())) }); bytes > uint64(4*n) {
				t.Errorf("%d bytes were allocated", bytes)
			}
		})
	}
	for name, raw := range map[string]string{
		"32769": ofLength(t, grants.MaxSubjectTokenBytes+1), "1048576": strings.Repeat("a", 1<<20), "9750000": strings.Repeat(".", 9_750_000),
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, raw, grants.TooLarge, "expected at most 32768 bytes; found "+name+" bytes")
			if bytes := allocated(func() { judge(raw, nil, nil) }); bytes > 1<<10 {
				t.Errorf("%d bytes were allocated", bytes)
			}
		})
	}
}

// nested gives n levels of arrays or objects, all of them closed.
func nested(open, end string, n int) string {
	inner := strings.Repeat(open, n-1) + map[string]string{"]": "[]", "}": "{}"}[end]
	return inner + strings.Repeat(end, n-1)
}

// JWT-28: F1, CVE-2025-6203. The object itself is the first level. Of several
// bounds the first that is met decides: the token's size, the header's, depth.
func TestNesting(t *testing.T) {
	for kind, brackets := range map[string][2]string{"arrays": {"[", "]"}, "objects": {`{"a":`, "}"}} {
		for _, levels := range []int{16, 17, 1000, 9000, 20_000, 3_500_000} {
			for _, member := range []string{"x", "permissions"} {
				t.Run(fmt.Sprintf("%d %s in the claim %s", levels, kind, member), func(t *testing.T) {
					raw := sign2(soundHeader.String(), twice(soundClaims.with(member, ""), `"`+member+`":`+nested(brackets[0], brackets[1], levels-1)))
					wantBounded(t, raw, levels, "payload")
				})
			}
			for _, member := range []string{"x", "jwk", "kid"} {
				t.Run(fmt.Sprintf("%d %s in the header %s", levels, kind, member), func(t *testing.T) {
					header := twice(soundHeader.with(member, ""), `"`+member+`":`+nested(brackets[0], brackets[1], levels-1))
					if levels == 16 && member == "kid" {
						refused(t, sign2(header, soundClaims.String()), grants.Malformed, "kid is not a string")
						return
					}
					wantBounded(t, sign2(header, soundClaims.String()), levels, "header")
				})
			}
		}
	}
	t.Run("brackets in a string are text", func(t *testing.T) {
		accepted(t, sign(soundHeader, soundClaims.with("x", `"`+strings.Repeat("[", 9000)+`"`)))
	})
}

// sign2 signs what is short enough to be looked at.
func sign2(header, payload string) string {
	if len(header)+len(payload) > grants.MaxSubjectTokenBytes {
		return b64([]byte(header)) + "." + b64([]byte(payload)) + ".AAAA"
	}
	return signText(rsaKey(), header, payload)
}

func wantBounded(t *testing.T, raw string, levels int, part string) {
	t.Helper()
	head, _, _ := strings.Cut(raw, ".")
	switch {
	case levels <= 16:
		accepted(t, raw)
		return
	case len(raw) > grants.MaxSubjectTokenBytes:
		refused(t, raw, grants.TooLarge, "expected at most 32768 bytes")
	case len(head) > 8<<10:
		refused(t, raw, grants.Malformed, "at most 8192 are allowed")
	default:
		refused(t, raw, grants.Malformed, part+": nested deeper than 16 levels")
	}
	if bytes := allocated(func() { judge(raw, nil, nil) }); bytes > 4*grants.MaxSubjectTokenBytes {
		t.Errorf("%d bytes were allocated", bytes)
	}
}

// JWT-29: CVE-2025-61726. As many members as fit cost memory in proportion,
// names that collide under simple hashes no more than others.
func TestManyMembers(t *testing.T) {
	for _, test := range []struct {
		name  string
		count int
		of    func(int) string
	}{
		{"2,900 short names", 2900, func(i int) string { return strconv.FormatInt(int64(i+1296), 36) }},
		{"800 names of one hash, h = 31·h + c", 800, func(i int) string {
			return strings.NewReplacer("0", "aq", "1", "bR").Replace(fmt.Sprintf("%010b", i))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var list []string
			for i := range test.count {
				list = append(list, `"`+test.of(i)+`":0`)
			}
			raw := signText(rsaKey(), soundHeader.String(), twice(soundClaims, strings.Join(list, ",")))
			accepted(t, raw)
			if bytes := allocated(func() { judge(raw, soundPolicy(), finding(rightKey())) }); bytes > uint64(24*len(raw)) {
				t.Errorf("%d bytes were allocated for %d", bytes, len(raw))
			}
			again := strings.Join(append(list, strings.ToUpper(list[len(list)-1])), ",")
			refused(t, signText(rsaKey(), soundHeader.String(), twice(soundClaims, again)), grants.Malformed, "payload: a member stands twice")
		})
	}
}
