package sparql

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/perseus-edge/perseus-edge/directory/rdf"
)

// holds reports whether all tests are true of the row. An error is not true.
func (e *run) holds(tests []*expr) bool {
	for _, t := range tests {
		if v, ok := e.truth(t); !ok || !v {
			return false
		}
	}
	return e.err == nil
}

// truth is the effective truth of an expression; not ok is an error of SPARQL.
func (e *run) truth(x *expr) (v, ok bool) {
	t, ok := e.eval(x)
	if !ok {
		return false, false
	}
	return effective(t)
}

// eval works an expression out; not ok is an error of SPARQL, such as an
// unbound variable or values of the wrong kind.
func (e *run) eval(x *expr) (rdf.Term, bool) {
	if !e.step(1) {
		return rdf.Term{}, false
	}
	switch x.op {
	case opVar:
		id := e.row[x.slot]
		return e.d.terms[id], id != 0
	case opConst:
		return x.term, true
	case "||", "&&":
		return e.logical(x)
	case "!":
		v, ok := e.truth(x.args[0])
		return truth(!v), ok
	case opIn, opNotIn:
		return e.in(x)
	case "BOUND":
		return truth(e.row[x.args[0].slot] != 0), true
	case "IF":
		v, ok := e.truth(x.args[0])
		if !ok {
			return rdf.Term{}, false
		}
		if v {
			return e.eval(x.args[1])
		}
		return e.eval(x.args[2])
	case "COALESCE":
		for _, a := range x.args {
			if t, ok := e.eval(a); ok {
				return t, true
			}
		}
		return rdf.Term{}, false
	}
	var args [3]rdf.Term
	for i, a := range x.args {
		var ok bool
		if args[i], ok = e.eval(a); !ok {
			return rdf.Term{}, false
		}
	}
	switch x.op {
	case "=", "!=", "<", ">", "<=", ">=":
		return compared(x.op, args[0], args[1])
	case "+", "-", "*", "/", opNeg:
		return calculated(x, args)
	}
	return e.function(x, args)
}

// logical is || and &&, in which an error does not matter where the other side
// decides (SPARQL 1.1, 17.2).
func (e *run) logical(x *expr) (rdf.Term, bool) {
	decides := x.op == "||"
	a, ok1 := e.truth(x.args[0])
	if ok1 && a == decides {
		return truth(a), true
	}
	b, ok2 := e.truth(x.args[1])
	if ok2 && b == decides {
		return truth(b), true
	}
	return truth(!decides), ok1 && ok2
}

// in is IN and NOT IN: a chain of = joined by ||.
func (e *run) in(x *expr) (rdf.Term, bool) {
	t, sure := e.eval(x.args[0])
	if !sure {
		return rdf.Term{}, false
	}
	for _, a := range x.args[1:] {
		v, ok := e.eval(a)
		same := false
		if ok {
			same, ok = equal(t, v)
		}
		if ok && same {
			return truth(x.op == opIn), true
		}
		sure = sure && ok
	}
	return truth(x.op == opNotIn), sure
}

func compared(o op, a, b rdf.Term) (rdf.Term, bool) {
	if o == "=" || o == "!=" {
		same, ok := equal(a, b)
		return truth(same == (o == "=")), ok
	}
	c, nan, ok := compareValues(a, b)
	v := o == "<" && c < 0 || o == ">" && c > 0 || o == "<=" && c <= 0 || o == ">=" && c >= 0
	return truth(v && !nan), ok
}

func calculated(x *expr, args [3]rdf.Term) (rdf.Term, bool) {
	a, ok := parseNumber(args[0])
	if !ok {
		return rdf.Term{}, false
	}
	if len(x.args) == 1 {
		if x.op == "+" {
			return args[0], true
		}
		zero, _ := parseNumber(rdf.Typed("0", rdf.XSDInteger))
		n, _ := arithmetic("-", zero, a)
		return n.term()
	}
	b, ok := parseNumber(args[1])
	if !ok {
		return rdf.Term{}, false
	}
	n, ok := arithmetic(x.op, a, b)
	if !ok {
		return rdf.Term{}, false
	}
	return n.term()
}

// function works out the functions of one to three terms.
func (e *run) function(x *expr, args [3]rdf.Term) (rdf.Term, bool) {
	a, b := args[0], args[1]
	literal := a.Kind == rdf.Literal
	switch x.op {
	case "STR":
		return rdf.Text(a.Value), a.Kind != rdf.Blank
	case "LANG":
		return rdf.Text(a.Lang), literal
	case "DATATYPE":
		return rdf.Ref(a.Datatype()), literal
	case "SAMETERM":
		return truth(a == b), true
	case "ISIRI", "ISURI":
		return truth(a.Kind == rdf.IRI), true
	case "ISBLANK":
		return truth(a.Kind == rdf.Blank), true
	case "ISLITERAL":
		return truth(literal), true
	case "ISNUMERIC":
		_, ok := parseNumber(a)
		return truth(ok), true
	case "LANGMATCHES":
		return truth(langMatches(a.Value, b.Value)), isString(a) && isString(b)
	}
	if !isString(a) {
		return rdf.Term{}, false
	}
	switch x.op {
	case "STRLEN":
		return rdf.Typed(strconv.Itoa(utf8.RuneCountInString(a.Value)), rdf.XSDInteger), true
	case "UCASE", "LCASE":
		if x.op == "UCASE" {
			a.Value = strings.ToUpper(a.Value)
		} else {
			a.Value = strings.ToLower(a.Value)
		}
		return a, true
	case "REGEX":
		return e.regex(x, args)
	}
	// The second text must be plain, or of the first one's language.
	if !isString(b) || b.Lang != "" && b.Lang != a.Lang {
		return rdf.Term{}, false
	}
	switch x.op {
	case "STRSTARTS":
		return truth(strings.HasPrefix(a.Value, b.Value)), true
	case "STRENDS":
		return truth(strings.HasSuffix(a.Value, b.Value)), true
	case "CONTAINS":
		return truth(strings.Contains(a.Value, b.Value)), true
	}
	return rdf.Term{}, false
}

func (e *run) regex(x *expr, args [3]rdf.Term) (rdf.Term, bool) {
	re := x.re
	if re == nil { // the pattern is not a constant: it is compiled anew, which costs
		for _, t := range args[1:len(x.args)] {
			if !isString(t) || t.Lang != "" {
				return rdf.Term{}, false
			}
		}
		var err error
		if re, err = compile(args[1].Value, args[2].Value); err != nil || !e.step(re.size) {
			return rdf.Term{}, false
		}
	}
	if !e.step(len(args[0].Value) * re.size / 100) {
		return rdf.Term{}, false
	}
	return truth(re.re.MatchString(args[0].Value)), true
}

func isString(t rdf.Term) bool { return t.Kind == rdf.Literal && t.Type == "" }

// langMatches is basic filtering of RFC 4647; tag is in lower case already.
func langMatches(tag, wanted string) bool {
	wanted = strings.ToLower(wanted)
	if wanted == "*" {
		return tag != ""
	}
	parts, want := strings.Split(strings.ToLower(tag), "-"), strings.Split(wanted, "-")
	return len(parts) >= len(want) && slices.Equal(parts[:len(want)], want)
}
