package condition

import (
	"maps"
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// uses is what an expression does with the claims.
type uses struct {
	claims      map[string]bool // that it names
	mentions    int             // of the variable
	named       int             // of them with the name of a claim
	openPattern bool            // it matches with a pattern that is not written out
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
		pattern := args[len(args)-1]
		if _, ok := literal(pattern); !ok {
			u.openPattern = true
		}
	}
}

func (u *uses) name(claim string) {
	u.claims[claim] = true
	u.named++
}

func isVariable(e ast.Expr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == variable }

func literal(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := e.AsLiteral().(types.String)
	return string(text), ok
}
