// Package storage is the database. It alone says gorm: no exported signature
// names one of its types, and its errors become registry's at the border.
package storage
