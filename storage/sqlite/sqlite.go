package sqlite

import (
	"database/sql"
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/migrator"
	"gorm.io/gorm/schema"
	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// Dialector speaks SQLite over an open pool.
type Dialector struct {
	Pool *sql.DB
}

var (
	_ gorm.Dialector       = Dialector{}
	_ gorm.ErrorTranslator = Dialector{}
)

// Name implements gorm.Dialector.
func (Dialector) Name() string { return "sqlite" }

// Initialize implements gorm.Dialector.
func (d Dialector) Initialize(db *gorm.DB) error {
	db.ConnPool = d.Pool
	callbacks.RegisterDefaultCallbacks(db, &callbacks.Config{})
	return nil
}

// Migrator implements gorm.Dialector. It serves no purpose here.
func (d Dialector) Migrator(db *gorm.DB) gorm.Migrator {
	return migrator.Migrator{Config: migrator.Config{DB: db, Dialector: d}}
}

// DataTypeOf implements gorm.Dialector. Tables are not made from models.
func (Dialector) DataTypeOf(*schema.Field) string { return "" }

// DefaultValueOf implements gorm.Dialector.
func (Dialector) DefaultValueOf(*schema.Field) clause.Expression { return clause.Expr{SQL: "NULL"} }

// BindVarTo implements gorm.Dialector.
func (Dialector) BindVarTo(w clause.Writer, _ *gorm.Statement, _ any) { _ = w.WriteByte('?') }

// QuoteTo implements gorm.Dialector. Names are ours, never a user's.
func (Dialector) QuoteTo(w clause.Writer, name string) {
	_, _ = w.WriteString(`"`)
	for _, c := range []byte(name) {
		switch c {
		case '.':
			_, _ = w.WriteString(`"."`)
		case '"':
		default:
			_ = w.WriteByte(c)
		}
	}
	_, _ = w.WriteString(`"`)
}

// Explain implements gorm.Dialector.
func (Dialector) Explain(query string, vars ...any) string {
	return logger.ExplainSQL(query, nil, `'`, vars...)
}

// Translate implements gorm.ErrorTranslator, by SQLite's extended result codes
// and never by text.
func (Dialector) Translate(err error) error {
	var failure *driver.Error
	if !errors.As(err, &failure) {
		return err
	}
	switch failure.Code() {
	case lib.SQLITE_CONSTRAINT_UNIQUE, lib.SQLITE_CONSTRAINT_PRIMARYKEY:
		return gorm.ErrDuplicatedKey
	case lib.SQLITE_CONSTRAINT_FOREIGNKEY:
		return gorm.ErrForeignKeyViolated
	case lib.SQLITE_CONSTRAINT_CHECK:
		return gorm.ErrCheckConstraintViolated
	}
	return err
}

// Damaged tells whether an error says that the file is no database, or not
// whole.
func Damaged(err error) bool {
	var failure *driver.Error
	return errors.As(err, &failure) && (failure.Code()&0xff == lib.SQLITE_CORRUPT || failure.Code() == lib.SQLITE_NOTADB)
}
