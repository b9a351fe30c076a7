// Package clientassertion judges the JWT by which a client authenticates
// (RFC 7523 §3, private_key_jwt). It knows neither HTTP nor a database: keys,
// and what was used before, are asked for through ports.
package clientassertion
