package sparql

import (
	"cmp"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/rdf"
)

// number is the value of a numeric literal: exact, or a float of xsd:double
// and xsd:float.
type number struct {
	rat   *big.Rat // nil: f holds
	f     float64
	whole bool // an xsd:integer or one of its kind
}

// integers are the datatypes whose values are whole numbers.
var integers = map[string]bool{"integer": true, "nonNegativeInteger": true, "positiveInteger": true, "nonPositiveInteger": true, "negativeInteger": true,
	"long": true, "int": true, "short": true, "byte": true, "unsignedLong": true, "unsignedInt": true, "unsignedShort": true, "unsignedByte": true}

// numeric reports whether a datatype is one of numbers.
func numeric(t rdf.Term) bool {
	name, ok := strings.CutPrefix(t.Type, rdf.XSD)
	return t.Kind == rdf.Literal && ok && (integers[name] || name == "decimal" || name == "double" || name == "float")
}

// parseNumber reads the value of a numeric literal of at most 100 characters.
func parseNumber(t rdf.Term) (number, bool) {
	if !numeric(t) || len(t.Value) > 100 {
		return number{}, false
	}
	name := strings.TrimPrefix(t.Type, rdf.XSD)
	if name == "double" || name == "float" {
		switch t.Value {
		case "INF":
			return number{f: math.Inf(1)}, true
		case "-INF":
			return number{f: math.Inf(-1)}, true
		case "NaN":
			return number{f: math.NaN()}, true
		}
		if strings.Trim(t.Value, "0123456789+-.eE") != "" { // Go knows more spellings
			return number{}, false
		}
		f, err := strconv.ParseFloat(t.Value, 64)
		return number{f: f}, err == nil || math.IsInf(f, 0)
	}
	digits := strings.TrimLeft(t.Value, "+-")
	if len(t.Value)-len(digits) > 1 || strings.Trim(digits, "0123456789.") != "" || integers[name] && strings.Contains(digits, ".") || strings.Trim(digits, ".") == "" {
		return number{}, false
	}
	r, ok := new(big.Rat).SetString(t.Value)
	return number{rat: r, whole: integers[name]}, ok
}

func (n number) float() float64 {
	if n.rat == nil {
		return n.f
	}
	f, _ := n.rat.Float64()
	return f
}

// term writes a number as the literal that arithmetic gives.
func (n number) term() (rdf.Term, bool) {
	switch {
	case n.rat == nil && math.IsInf(n.f, 0):
		return rdf.Typed(strings.ToUpper(strings.TrimPrefix(strconv.FormatFloat(n.f, 'g', -1, 64), "+")), rdf.XSDDouble), true
	case n.rat == nil:
		return rdf.Typed(strconv.FormatFloat(n.f, 'E', -1, 64), rdf.XSDDouble), true
	case n.whole:
		return rdf.Typed(n.rat.RatString(), rdf.XSDInteger), n.rat.IsInt()
	}
	s := n.rat.FloatString(18)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(s, "0")
		if strings.HasSuffix(s, ".") {
			s += "0"
		}
	}
	return rdf.Typed(s, rdf.XSDDecimal), true
}

// arithmetic works out a op b. Whole numbers divided give a decimal.
func arithmetic(o op, a, b number) (number, bool) {
	if a.rat == nil || b.rat == nil {
		x, y := a.float(), b.float()
		switch o {
		case "+":
			return number{f: x + y}, true
		case "-":
			return number{f: x - y}, true
		case "*":
			return number{f: x * y}, true
		}
		return number{f: x / y}, true
	}
	out := number{rat: new(big.Rat), whole: a.whole && b.whole && o != "/"}
	switch o {
	case "+":
		out.rat.Add(a.rat, b.rat)
	case "-":
		out.rat.Sub(a.rat, b.rat)
	case "*":
		out.rat.Mul(a.rat, b.rat)
	default:
		if b.rat.Sign() == 0 {
			return number{}, false
		}
		out.rat.Quo(a.rat, b.rat)
	}
	return out, true
}

// compareValues orders two literals of kinds that have an order: numbers,
// plain strings, booleans, dates and times. nan: the two are numbers of which
// one is NaN, so no comparison holds. Not ok: they cannot be compared.
func compareValues(a, b rdf.Term) (c int, nan, ok bool) {
	if a.Kind != rdf.Literal || b.Kind != rdf.Literal {
		return 0, false, false
	}
	if x, ok := parseNumber(a); ok {
		y, ok := parseNumber(b)
		if !ok {
			return 0, false, false
		}
		if x.rat != nil && y.rat != nil {
			return x.rat.Cmp(y.rat), false, true
		}
		f, g := x.float(), y.float()
		return cmp.Compare(f, g), math.IsNaN(f) || math.IsNaN(g), true
	}
	if a.Type != b.Type || a.Lang != "" || b.Lang != "" {
		return 0, false, false
	}
	switch a.Type {
	case "":
		return strings.Compare(a.Value, b.Value), false, true
	case rdf.XSDBoolean:
		x, ok1 := boolean(a)
		y, ok2 := boolean(b)
		switch {
		case x == y:
			return 0, false, ok1 && ok2
		case y:
			return -1, false, ok1 && ok2
		}
		return 1, false, ok1 && ok2
	case rdf.XSDDate, rdf.XSD + "dateTime":
		x, ok1 := instant(a)
		y, ok2 := instant(b)
		return x.Compare(y), false, ok1 && ok2
	}
	return 0, false, false
}

// instant reads xsd:date and xsd:dateTime; without a time zone they are UTC.
func instant(t rdf.Term) (time.Time, bool) {
	layouts := []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05"}
	if t.Type == rdf.XSDDate {
		layouts = []string{"2006-01-02Z07:00", "2006-01-02"}
	}
	for _, l := range layouts {
		if v, err := time.Parse(l, t.Value); err == nil {
			return v, true
		}
	}
	return time.Time{}, false
}

func boolean(t rdf.Term) (v, ok bool) {
	if t.Kind != rdf.Literal || t.Type != rdf.XSDBoolean {
		return false, false
	}
	switch t.Value {
	case "true", "1":
		return true, true
	case "false", "0":
		return false, true
	}
	return false, false
}

func truth(v bool) rdf.Term { return rdf.Typed(strconv.FormatBool(v), rdf.XSDBoolean) }

// effective is the truth of a value (SPARQL 1.1, 17.2.2).
func effective(t rdf.Term) (v, ok bool) {
	switch {
	case t.Kind != rdf.Literal:
		return false, false
	case t.Type == rdf.XSDBoolean:
		v, _ := boolean(t) // an ill-formed one is false
		return v, true
	case numeric(t):
		n, ok := parseNumber(t)
		return ok && n.float() != 0 && !math.IsNaN(n.float()), true
	case t.Type == "":
		return t.Value != "", true
	}
	return false, false
}

// equal is the = of SPARQL: the same value, or the same term. Not ok: literals
// of which it cannot be known.
func equal(a, b rdf.Term) (same, ok bool) {
	if c, nan, ok := compareValues(a, b); ok {
		return c == 0 && !nan, true
	}
	if a == b {
		return true, true
	}
	if a.Kind == rdf.Literal && b.Kind == rdf.Literal && (!understood(a) || !understood(b)) {
		return false, false
	}
	return false, true
}

// understood reports literals whose value is known here: of two such that are
// of different kinds it is sure that they are not equal.
func understood(t rdf.Term) bool {
	switch {
	case numeric(t):
		_, ok := parseNumber(t)
		return ok
	case t.Type == rdf.XSDBoolean:
		_, ok := boolean(t)
		return ok
	case t.Type == rdf.XSDDate || t.Type == rdf.XSD+"dateTime":
		_, ok := instant(t)
		return ok
	}
	return t.Type == ""
}

// order is the order of ORDER BY: unbound, blank nodes, IRIs, literals;
// literals by value where they can be compared, else by their text.
func order(a, b rdf.Term) int {
	if a.Kind != b.Kind {
		return cmp.Compare(a.Kind, b.Kind)
	}
	// By kinds of literals first, so that the order is one for all three of
	// "a", 1 and "b".
	if c := cmp.Compare(family(a), family(b)); c != 0 {
		return c
	}
	if c, nan, ok := compareValues(a, b); ok && !nan && c != 0 {
		return c
	}
	return rdf.Compare(a, b)
}

func family(t rdf.Term) string {
	_, isNumber := parseNumber(t)
	switch {
	case t.Kind != rdf.Literal:
		return ""
	case isNumber:
		return "0"
	case understood(t) && !numeric(t):
		return "1" + t.Datatype()
	}
	return "2"
}
