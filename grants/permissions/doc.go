// Package permissions turns the permissions of a subject token into scopes.
// Pure functions: no fosite, no HTTP, no SQL. Scopes are compared byte by byte;
// there is no hierarchy, no pattern and no folding of case.
package permissions
