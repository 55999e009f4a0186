// Package fault holds the errors of the directory whose words are meant for who
// caused them. They know nothing of the way that a request came: package answer
// makes HTTP of them.
package fault

import (
	"errors"
	"fmt"
)

// Errors that callers may ask for with errors.Is.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("exists already")
	ErrInvalid  = errors.New("invalid")                          // the caller's input; the text says what is wrong with it
	ErrCode     = errors.New("code is not (or no longer) valid") // one error for unknown, used and expired codes, so that none can be told from another
)

// Invalid makes an error for the caller's eyes: what is wrong and what to do.
func Invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// Refusal is an error that says by a code, which programs may act on, why the
// directory does not do what is asked, and in words what to do.
type Refusal struct {
	Kind       Kind
	Code, Text string
}

// Kind is what kind of refusal it is.
type Kind int

// The kinds.
const (
	Denied  Kind = iota // whoever asks may not
	Clashes             // something that is there is against it
)

// Error gives code and text.
func (e *Refusal) Error() string { return e.Code + ": " + e.Text }

// Forbid refuses who asks.
func Forbid(code, text string) error { return &Refusal{Denied, code, text} }

// Clash refuses because of something that is there.
func Clash(code, text string) error { return &Refusal{Clashes, code, text} }
