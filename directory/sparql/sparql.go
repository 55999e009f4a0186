// Package sparql answers questions about an immutable set of triples in a
// bounded part of SPARQL 1.1: SELECT (also DISTINCT and REDUCED) and ASK;
// basic graph patterns, groups, OPTIONAL, UNION, FILTER; ORDER BY, LIMIT,
// OFFSET; PREFIX and BASE. Anything else is an error that names it.
//
// A query reads the Dataset that it is given and nothing else: there is no
// FROM, GRAPH, SERVICE or LOAD, so it cannot reach a file or the network. Its
// text, its nesting, its steps, the rows that it holds and the time that it
// takes are all bounded (Limits); what goes beyond is refused, never cut short
// without a word.
package sparql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/rdf"
	"github.com/perseus-edge/perseus-edge/directory/rdf/lexer"
)

// Limits bound a query. Zero fields take the defaults.
type Limits struct {
	Text  int           // bytes of the query; 16 KiB
	Depth int           // of groups and parentheses within one another; 32
	Size  int           // triple patterns, and parts of expressions, each; 200
	Steps int           // triples looked at and tests made; 5,000,000
	Rows  int           // held for DISTINCT, ORDER BY and subpatterns, or given as the result; 100,000
	Time  time.Duration // 5 s
}

func (l Limits) filled() Limits {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&l.Text, 16<<10)
	def(&l.Depth, 32)
	def(&l.Size, 200)
	def(&l.Steps, 5_000_000)
	def(&l.Rows, 100_000)
	if l.Time == 0 {
		l.Time = 5 * time.Second
	}
	return l
}

// ErrRefused is a query that is sound but needs more than the limits allow.
var ErrRefused = errors.New("the query was stopped")

// Query is a parsed query. It may be run many times, also at once.
type Query struct {
	Ask      bool
	vars     []string // names by slot; a blank node's begins with _:
	project  []int    // slots of the result's columns
	distinct bool
	where    pattern
	order    []orderKey
	limit    int // -1: none
	offset   int
	limits   Limits
}

type orderKey struct {
	by   *expr
	down bool
}

// Result is what a query gave.
type Result struct {
	Ask  bool // whether Yes is the answer, and Vars and Rows are empty
	Yes  bool
	Vars []string
	Rows [][]rdf.Term // a zero Term is an unbound variable
}

// Parse reads a query. Errors are *lexer.Error, with the place.
func Parse(text string, limits Limits) (*Query, error) {
	limits = limits.filled()
	if len(text) > limits.Text {
		return nil, &lexer.Error{Line: 1, Col: 1, Message: fmt.Sprintf("the query has %d bytes, at most %d are read", len(text), limits.Text)}
	}
	p := &parser{lex: lexer.New(text), prefixes: map[string]string{}, slots: map[string]int{}, blanks: map[string]int{}, limits: limits}
	if err := p.advance(); err != nil {
		return nil, err
	}
	q, err := p.query()
	if err != nil {
		return nil, err
	}
	q.limits = limits
	q.vars = p.vars
	analyse(q.where, set{})
	return q, nil
}

// Run answers the query from a dataset. Errors wrap ErrRefused, or are the
// context's.
func (q *Query) Run(ctx context.Context, d *Dataset) (*Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, q.limits.Time, fmt.Errorf("%w after %v: ask for less, or more exactly", ErrRefused, q.limits.Time))
	defer cancel()
	e := &run{d: d, q: q, ctx: ctx, row: make([]uint32, len(q.vars)), alone: map[pattern][][]uint32{}}
	if q.Ask {
		found := false
		e.extend(q.where, func() bool { found = true; return false })
		return &Result{Ask: true, Yes: found}, e.err
	}
	rows := e.rows()
	if e.err != nil {
		return nil, e.err
	}
	r := &Result{Rows: rows}
	for _, slot := range q.project {
		r.Vars = append(r.Vars, q.vars[slot])
	}
	return r, nil
}
