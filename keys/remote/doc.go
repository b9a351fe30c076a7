// Package remote finds other people's public keys: a JWKS or PEM document
// behind an integrator's key URL. It reads hostile bytes from hostile places
// and holds no secret.
//
// A [Source] answers from memory and fetches when it must:
//
//	keys in memory         asked for                        answer
//	none                   anything                         fetch and wait; after a failure not for 5 s, and the error until then
//	fresh (10 min)         a key that is there              memory; from 8 to 9 min on, renewed in the background
//	fresh                  an unknown kid, or newer keys    fetch and wait, at most every 30 s; then what there is
//	stale (24 h)           a key that is there              fetch and wait; memory if that fails. While the key URL
//	                                                        keeps failing: memory, retried every 30 s in the background
//	stale                  an unknown kid, or newer keys    fetch and wait, at most every 30 s; then what there is
//
// Renew does so in the background for whatever was asked for within a day. With
// a [Memory], a fetch looks first at what other replicas fetched, keys outlive a
// restart for as long as they outlive an outage, and Refresh makes keys that
// were removed stop everywhere: questions of a newer epoch are not answered
// with what was fetched under an older one.
//
// A kid that is not there while the key URL fails is an error and not an empty
// answer: nobody knows whether the issuer has published it.
//
// A fetch is one bounded GET without redirects, proxies or cookies, to
// addresses that are public or that the operator allows.
package remote
