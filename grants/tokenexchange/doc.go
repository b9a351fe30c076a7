// Package tokenexchange is the decision of RFC 8693: may this subject token be
// exchanged, for whom, for which scopes and targets, until when. No fosite, no
// HTTP, no SQL: fositegrant adapts it to ory/fosite, and any other server can
// adapt it to its own.
package tokenexchange
