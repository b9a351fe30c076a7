package condition

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/cambio-oauth/cambio/grants"
)

// Bounds of a condition.
const (
	MaxBytes = 2048
	maxCost  = 3000 // of CEL's units, about one for each step
	maxDepth = 32   // of parentheses and brackets
	maxShown = 8    // claims that a refusal shows

	// CEL counts what some operations cost when they are done: what they work
	// on has to be bounded before.
	maxRead    = 16 << 10 // bytes of the claims that a condition reads
	maxMatched = 2 << 10  // of one that matches patterns
	maxPattern = 200      // instructions of a pattern
)

// variable is the one name that an expression has.
const variable = "claims"

// Compiler makes conditions. It is safe for concurrent use.
type Compiler struct{ env *cel.Env }

// NewCompiler makes a compiler: CEL with its standard functions, optional values
// and those macros that make no lists, and claims, a map. What makes lists can
// multiply them, and comparing lists in lists costs no more than comparing the
// outer ones.
func NewCompiler() (*Compiler, error) {
	env, err := cel.NewEnv(
		cel.Variable(variable, cel.MapType(cel.StringType, cel.DynType)),
		cel.OptionalTypes(),
		cel.ClearMacros(), cel.Macros(cel.HasMacro, cel.AllMacro, cel.ExistsMacro, cel.ExistsOneMacro),
		cel.CrossTypeNumericComparisons(true), // JSON has one kind of number
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(MaxBytes),
		cel.ParserRecursionLimit(maxDepth),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateDurationLiterals(), cel.ValidateComprehensionNestingLimit(2)),
	)
	if err != nil {
		return nil, err
	}
	return &Compiler{env}, nil
}

// Condition is a condition that was compiled. It is safe for concurrent use.
type Condition struct {
	text    string
	program cel.Program
	claims  []string // that it reads; nil: any
	matches bool     // patterns
}

// Compile type-checks an expression. The error is for whoever wrote it.
func (c *Compiler) Compile(text string) (*Condition, error) {
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("want at most %d bytes of CEL", MaxBytes)
	}
	ast, issues := c.env.Compile(text)
	if err := issues.Err(); err != nil {
		return nil, errors.New("no CEL: " + grants.Shown(oneLine(err.Error())))
	}
	if !ast.OutputType().IsExactType(types.BoolType) {
		return nil, fmt.Errorf("want an expression that is true or false, such as claims.email_verified == true; this one is of type %s", ast.OutputType())
	}
	uses := usesOf(ast.NativeRep().Expr())
	if uses.fault != "" {
		return nil, errors.New(uses.fault)
	}
	program, err := c.env.Program(ast, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, errors.New("no CEL: " + grants.Shown(oneLine(err.Error())))
	}
	return &Condition{text: text, program: program, claims: uses.names(), matches: uses.matches}, nil
}

// oneLine keeps what the compiler says and leaves out its drawing of where.
func oneLine(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if trimmed := strings.TrimSpace(line); trimmed != "" && !strings.HasPrefix(trimmed, "|") {
			lines = append(lines, trimmed)
		}
	}
	return strings.Join(lines, "; ")
}

// String gives the expression.
func (c *Condition) String() string { return c.text }

// Claims gives the claims that the condition names; none when it may read any.
func (c *Condition) Claims() []string { return slices.Clone(c.claims) }

// Holds judges claims. When the condition does not hold, or cannot be judged,
// found says what it saw.
func (c *Condition) Holds(claims map[string]json.RawMessage) (holds bool, found string) {
	if n, most := c.size(claims); n > most {
		return false, fmt.Sprintf("%d bytes of claims, of which it reads %d at the most", n, most)
	}
	values, err := c.values(claims)
	if err != nil {
		return false, "claims that are no JSON"
	}
	result, _, err := c.program.Eval(map[string]any{variable: values})
	if err != nil {
		return false, grants.Shown(err.Error()) + c.seen(claims)
	}
	if result == types.True {
		return true, ""
	}
	return false, strings.TrimPrefix(c.seen(claims), "; ")
}

// size gives how many bytes of claims the condition would read, and how many it
// may.
func (c *Condition) size(claims map[string]json.RawMessage) (n, most int) {
	if c.claims == nil {
		for name, raw := range claims {
			n += len(name) + len(raw)
		}
	}
	for _, name := range c.claims {
		n += len(claims[name])
	}
	if c.matches {
		return n, maxMatched
	}
	return n, maxRead
}

// values decodes the claims that the condition reads.
func (c *Condition) values(claims map[string]json.RawMessage) (map[string]any, error) {
	values := make(map[string]any, len(claims))
	if c.claims == nil {
		for name, raw := range claims {
			value, err := decode(raw)
			if err != nil {
				return nil, err
			}
			values[name] = value
		}
		return values, nil
	}
	for _, name := range c.claims {
		raw, ok := claims[name]
		if !ok {
			continue
		}
		value, err := decode(raw)
		if err != nil {
			return nil, err
		}
		values[name] = value
	}
	return values, nil
}

// seen shows the claims that the condition reads.
func (c *Condition) seen(claims map[string]json.RawMessage) string {
	var text strings.Builder
	for _, name := range c.claims[:min(len(c.claims), maxShown)] {
		value := "none"
		if raw, ok := claims[name]; ok {
			value = string(raw[:min(len(raw), 100)])
		}
		text.WriteString("; " + grants.Shown(name) + " = " + grants.Shown(value))
	}
	return text.String()
}

// decode reads JSON for CEL: a number that is an integer stays one, whatever
// its size.
func decode(raw json.RawMessage) (value any, err error) {
	switch {
	case string(raw) == "true":
		return true, nil
	case string(raw) == "false":
		return false, nil
	case len(raw) > 1 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0:
		return string(raw[1 : len(raw)-1]), nil
	case !bytes.ContainsAny(raw, "0123456789"): // no number in it
		err = json.Unmarshal(raw, &value)
		return value, err
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	return withNumbers(value), nil
}

func withNumbers(value any) any {
	switch value := value.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(value.String(), 10, 64); err == nil {
			return n
		}
		if n, err := strconv.ParseUint(value.String(), 10, 64); err == nil {
			return n
		}
		n, _ := value.Float64() // strictjson refused what is out of range
		return n
	case []any:
		for i := range value {
			value[i] = withNumbers(value[i])
		}
	case map[string]any:
		for name := range value {
			value[name] = withNumbers(value[name])
		}
	}
	return value
}
