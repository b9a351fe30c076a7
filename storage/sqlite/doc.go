// Package sqlite is a gorm dialector for modernc.org/sqlite, which needs no
// cgo. It has no part in the schema: migrations own that.
package sqlite
