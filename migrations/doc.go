// Package migrations is the history of the schema: SQL per dialect, embedded,
// applied by goose. Forward only. A test holds the two dialects together.
package migrations
