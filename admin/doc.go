// Package admin is the operator's and the integrator's door: one service of
// use cases, which holds the rules and who may do what, under a JSON API. It
// knows no fosite and no database, only ports.
package admin
