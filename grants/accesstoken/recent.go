package accesstoken

import (
	"crypto/sha256"
	"sync/atomic"
)

// Bounds of what is remembered: 16 MiB of tokens, and a few MiB of usual ones.
const (
	recentTokens   = 4096
	maxRecentBytes = 4 << 10 // of a token
)

// Recent remembers tokens whose signature was found to be good a moment ago: the
// same text under the same key is as good now, and an API asks about a token at
// every request that carries it. Only the signature is remembered. Whether the
// key is still one of ours, the token has expired or was revoked is looked at
// each time.
//
// A token is known by the hash of all of its text: an ECDSA signature has a
// twin, which is another text. Two that share a place take turns in it, so the
// table never grows and nothing is ever looked for in it.
type Recent struct {
	places [recentTokens]atomic.Pointer[seen]
}

type seen struct {
	hash   [sha256.Size]byte
	keyID  string
	claims Claims
}

// find gives what was seen of a token; nil: nothing, or no longer.
func (r *Recent) find(hash [sha256.Size]byte) *seen {
	if r == nil {
		return nil
	}
	if s := r.place(hash).Load(); s != nil && s.hash == hash {
		return s
	}
	return nil
}

func (r *Recent) add(s *seen) {
	if r != nil {
		r.place(s.hash).Store(s)
	}
}

func (r *Recent) place(hash [sha256.Size]byte) *atomic.Pointer[seen] {
	return &r.places[(int(hash[0])<<8|int(hash[1]))%recentTokens]
}
