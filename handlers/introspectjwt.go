package handlers

import (
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// Media type of a signed introspection answer, and its typ (RFC 9701 §5).
const (
	introspectionMediaType = "application/" + introspectionType
	introspectionType      = "token-introspection+jwt"
)

// signedIntrospection is the claims of RFC 9701 §5. There is no sub, exp or jti
// beside them: nobody may take an answer for an access token (§8.1).
type signedIntrospection struct {
	Issuer string `json:"iss"`
	// Audience identifies the resource server that receives the answer. Its
	// client_id does: every caller has one, clients compare with it, and unlike
	// the resource server's audience no access token is issued for it.
	Audience      string `json:"aud"`
	IssuedAt      int64  `json:"iat"`
	Introspection any    `json:"token_introspection"`
}

// answerIntrospection answers in the form that the caller prefers.
func (s *Server) answerIntrospection(w http.ResponseWriter, r *http.Request, event *Event, found any) {
	if !prefersSigned(r.Header) {
		s.answer(w, r, event, http.StatusOK, found)
		return
	}
	signed, err := s.signIntrospection(r.Context(), found)
	if err != nil {
		s.refuse(w, r, event, asRefusal(err))
		return
	}
	noStore(w)
	w.Header().Set("Content-Type", introspectionMediaType)
	event.Status = http.StatusOK
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, signed) // the reader is gone: nothing to be done
}

func (s *Server) signIntrospection(ctx context.Context, found any) (string, error) {
	payload, err := json.Marshal(signedIntrospection{
		Issuer: s.config.Issuer, Audience: noteOf(ctx).client.ID, IssuedAt: s.config.Now().Unix(), Introspection: found,
	})
	if err != nil {
		return "", err
	}
	return s.config.Sign(ctx, introspectionType, payload)
}

// prefersSigned reads Accept (RFC 9110 §12.5.1). RFC 9701 §4: the signed answer
// is for those who name it, unless they like plain JSON better. A range with a
// star means JSON, which is what everybody got before.
func prefersSigned(header http.Header) bool {
	qualities := map[string]float64{}
	for element := range strings.SplitSeq(strings.Join(header.Values("Accept"), ","), ",") {
		mediaRange, parameters, err := mime.ParseMediaType(element)
		quality := 1.0
		if text, ok := parameters["q"]; ok && err == nil {
			quality, err = strconv.ParseFloat(text, 64)
		}
		if err != nil || !(quality >= 0 && quality <= 1) {
			continue // no media range, or NaN
		}
		if had, twice := qualities[mediaRange]; !twice || quality > had {
			qualities[mediaRange] = quality
		}
	}
	signed := qualities[introspectionMediaType]
	for _, plain := range []string{"application/json", "application/*", "*/*"} { // the more specific one decides
		if quality, ok := qualities[plain]; ok {
			return signed > 0 && signed >= quality
		}
	}
	return signed > 0
}
