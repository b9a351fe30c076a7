// Package clientcredentials is the grant of RFC 6749 §4.4 on fosite's
// interface. fosite's own handler checks scopes and grants none.
package clientcredentials
