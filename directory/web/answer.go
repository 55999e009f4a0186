package web

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/account"
	"github.com/perseus-edge/perseus-edge/directory/answer"
)

// refusal is an error for the visitor's eyes.
type refusal struct {
	status int
	text   string
}

func (e *refusal) Error() string { return e.text }

// explain gives what a visitor may be told of an error; "" where nothing.
func explain(err error) (status int, text string) {
	var re *refusal
	var tm *account.TooMany
	switch {
	case errors.As(err, &re):
		return re.status, re.text
	case errors.As(err, &tm):
		return http.StatusTooManyRequests, "Too many attempts. Wait " + waitWords(tm.Wait) + " and try again."
	case errors.Is(err, account.ErrInvalid):
		return http.StatusBadRequest, sentence(strings.ReplaceAll(err.Error(), account.ErrInvalid.Error()+": ", ""))
	case errors.Is(err, account.ErrWrong):
		return http.StatusForbidden, "That was not right. Check it and try again."
	case errors.Is(err, account.ErrLink):
		return http.StatusGone, "This link does not work any more: links work once, and for a limited time. Ask whoever sent it for a new one."
	case errors.Is(err, account.ErrLast):
		return http.StatusConflict, "This is the last one, so it stays. Add another first."
	case errors.Is(err, account.ErrExists):
		return http.StatusConflict, "There is an account with this email address already: sign in with it."
	case errors.Is(err, account.ErrNotFound):
		return http.StatusNotFound, "There is nothing at this address."
	}
	status, text, ok := answer.Explain(err)
	switch {
	case !ok:
		return http.StatusInternalServerError, ""
	case status == http.StatusNotFound:
		text = "There is nothing at this address."
	}
	return status, sentence(text)
}

// sentence begins with a capital letter and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return s
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

func waitWords(d time.Duration) string {
	switch n := int((d + time.Minute - 1) / time.Minute); {
	case n <= 1:
		return "a minute"
	default:
		return strconv.Itoa(n) + " minutes"
	}
}

type problem struct{ Text string }

// fail shows the page of an error. What is not meant for the visitor is logged
// under a number, and only the number is shown.
func (a *App) fail(v *visit, err error) {
	status, text := explain(err)
	if text == "" {
		if v.ctx().Err() != nil {
			return // the visitor has gone
		}
		var b [8]byte
		rand.Read(b[:])
		id := hex.EncodeToString(b[:])
		a.Logger.Error("page failed", "method", v.r.Method, "page", v.r.Pattern, "correlation", id, "error", err)
		text = "Something went wrong here. Try again later, or tell the directory's administrator this number: " + id
	}
	retryAfter(v.w, err)
	title := "That did not work"
	if status == http.StatusNotFound {
		title = "Not found"
	}
	v.render(status, "error", title, problem{text})
}

func retryAfter(w http.ResponseWriter, err error) {
	var tm *account.TooMany
	if errors.As(err, &tm) {
		w.Header().Set("Retry-After", strconv.Itoa(int(tm.Wait/time.Second)+1))
	}
}

// render writes a page. An answer that is not whole is not sent.
func (v *visit) render(status int, page, title string, data any) error {
	return v.renderWith(status, page, title, "", data)
}

// again shows a form again, with what was wrong about it. Errors that are not
// the visitor's to mend go to the page of errors.
func (v *visit) again(page, title string, data any, err error) error {
	status, text := explain(err)
	if text == "" || status == http.StatusNotFound || status == http.StatusGone {
		return err
	}
	retryAfter(v.w, err)
	return v.renderWith(status, page, title, text, data)
}

func (v *visit) renderWith(status int, page, title, wrong string, data any) error {
	l := layout{Title: title, Problem: wrong, Who: v.who, Member: v.member, Data: data, Base: Prefix, Here: v.r.URL.Path, Operator: v.Accounts.Name, Edition: edition}
	if !v.bare && status < 400 && v.sessions.Exists(v.ctx(), keyFlash) {
		l.Said = v.sessions.PopString(v.ctx(), keyFlash)
	}
	var b bytes.Buffer
	if err := pages[page].ExecuteTemplate(&b, "layout", l); err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	v.w.Write(b.Bytes()) // an error here is the visitor's connection: there is nobody to tell
	return nil
}
