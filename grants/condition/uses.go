package condition

import (
	"fmt"
	"maps"
	"regexp/syntax"
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// uses is what an expression does with the claims.
type uses struct {
	claims   map[string]bool // that it names
	mentions int             // of the variable
	named    int             // of them with the name of a claim
	matches  bool            // patterns
	fault    string          // why it must not run
}

func usesOf(expression ast.Expr) uses {
	u := uses{claims: map[string]bool{}}
	ast.PostOrderVisit(expression, ast.NewExprVisitor(u.see))
	return u
}

// names gives the claims that are read; nil when any may be.
func (u *uses) names() []string {
	if u.mentions > u.named {
		return nil
	}
	return append([]string{}, slices.Sorted(maps.Keys(u.claims))...)
}

func (u *uses) see(e ast.Expr) {
	switch e.Kind() {
	case ast.IdentKind:
		if e.AsIdent() == variable {
			u.mentions++
		}
	case ast.SelectKind:
		if isVariable(e.AsSelect().Operand()) {
			u.name(e.AsSelect().FieldName())
		}
	case ast.CallKind:
		u.seeCall(e.AsCall())
	case ast.ListKind:
		if slices.ContainsFunc(e.AsList().Elements(), func(e ast.Expr) bool { return !constant(e) }) {
			u.fault = "a list may hold written values only"
		}
	case ast.MapKind, ast.StructKind:
		u.fault = "a condition makes no maps"
	}
}

func (u *uses) seeCall(call ast.CallExpr) {
	args := call.Args()
	switch call.FunctionName() {
	case operators.Index, operators.OptIndex, operators.OptSelect:
		if text, ok := literal(args[1]); ok && isVariable(args[0]) {
			u.name(text)
		}
	case operators.In:
		if text, ok := literal(args[0]); ok && isVariable(args[1]) {
			u.name(text)
		}
	case "matches":
		u.matches = true
		u.seePattern(args[len(args)-1])
	}
}

// seePattern: a claim must not choose a pattern, and one that is short to write
// can be long to run.
func (u *uses) seePattern(pattern ast.Expr) {
	text, ok := literal(pattern)
	if !ok {
		u.fault = "the pattern of matches() must be written out: a claim must not choose it"
		return
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return // said by CEL
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil || len(program.Inst) > maxPattern {
		u.fault = fmt.Sprintf("a pattern of matches() is too large: at most %d instructions, so fewer or smaller repetitions", maxPattern)
	}
}

func (u *uses) name(claim string) {
	u.claims[claim] = true
	u.named++
}

func isVariable(e ast.Expr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == variable }

func constant(e ast.Expr) bool { return e.Kind() == ast.LiteralKind }

func literal(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := e.AsLiteral().(types.String)
	return string(text), ok
}
