// Package storagetest is the one suite that every backend of storage passes,
// and the databases to run it on. It is for tests, of this repository and of
// others that keep their own backend honest.
package storagetest
