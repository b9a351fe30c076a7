package admin

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cambio-oauth/cambio/registry"
)

const (
	defaultLimit   = 50
	cursorMACBytes = 16
	maxSearchBytes = 256
)

// page reads limit and cursor. A cursor is the id of the last object of a page
// with a MAC over it and the list: it can be neither made up nor carried to
// another list (CVE-2026-33504).
func (a *API) page(r *http.Request, list string) (registry.Page, error) {
	query := r.URL.Query()
	page := registry.Page{Limit: defaultLimit}
	if text := query.Get("limit"); text != "" {
		limit, err := strconv.Atoi(text)
		if err != nil || limit < 1 || limit > registry.MaxPage {
			return page, errLimit
		}
		page.Limit = limit
	}
	if text := query.Get("search"); len(text) > maxSearchBytes || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return page, errSearch
	}
	if text := query.Get("cursor"); text != "" {
		data, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || len(data) <= cursorMACBytes {
			return page, errCursor
		}
		mac, id := data[:cursorMACBytes], string(data[cursorMACBytes:])
		if !hmac.Equal(mac, a.cursorMAC(list, id)) {
			return page, errCursor
		}
		page.After = id
	}
	return page, nil
}

func (a *API) cursor(list, id string) string {
	return base64.RawURLEncoding.EncodeToString(append(a.cursorMAC(list, id), id...))
}

func (a *API) cursorMAC(list, id string) []byte {
	mac := hmac.New(sha256.New, a.config.CursorKey)
	mac.Write([]byte(list + "\x00" + id))
	return mac.Sum(nil)[:cursorMACBytes]
}
