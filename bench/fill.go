package main

import (
	"database/sql"
	"strings"
)

// fill runs statements that count with n(i).
func fill(file, count, statements string, n int) error {
	if n == 0 {
		return nil
	}
	db, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		return err
	}
	defer db.Close()
	for statement := range strings.SplitSeq(statements, ";") {
		if _, err := db.Exec(count + statement); err != nil {
			return err
		}
	}
	_, err = db.Exec("UPDATE changes SET seq = seq + 1")
	return err
}
