package web

import (
	"context"
	_ "embed"
	"errors"
	"html/template"
	"net/http"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/uplink"
)

//go:embed code.html
var codeText string

// codeTime bounds the making of a new code: the relay is told of it.
const codeTime = time.Minute

// codeView is the card with the meter code, or the question whether to make
// another.
type codeView struct {
	Code     string
	Class    string // of the card
	Words    []string
	Problem  string // why the last attempt did not work
	May      bool   // who asks may make a new one here
	Retired  bool
	Asks     bool   // this is the question
	Token    string // of the form: it comes from this page
	Replaces string // version of the code that the form is about
}

// codeOf says how the meter code stands; nil where the gateway only records.
func (s *server) codeOf(st agent.Status, r *http.Request) *codeView {
	if st.Uplink == nil {
		return nil
	}
	v := &codeView{Code: st.Code, Token: s.token, Retired: st.Retired}
	no := s.mayCode(r)
	v.May = no == ""
	switch d := st.Uplink.Status; {
	case st.Retired:
		v.Class, v.Replaces = "bad", identity.CodeVersion(d.Code)
		v.Words = []string{"This code is no longer valid: the site has a new tenant."}
		if no == "" {
			no = "Make a new code, then type it on the permission page that your bank sends you to."
		}
		v.Words = append(v.Words, no)
	case st.Code == "":
		v.Code, v.May = "not available", false
	default:
		v.Replaces = identity.CodeVersion(st.Code)
		v.Words = []string{"Type it on the permission page that your bank sends you to. Keep it to yourself: who has it can answer for you."}
		if d != nil && d.CodeNotTold {
			v.Class = "warn"
			v.Words = append(v.Words, "The relay has not heard of this code yet: it works as soon as this gateway has reached it. Until then an earlier code, if there was one, still works.")
		}
	}
	return v
}

// mayCode says how a new code is made, where who asks may not make it here; ""
// where they may.
func (s *server) mayCode(r *http.Request) string {
	if s.place(r) == "" {
		return ""
	}
	return "A new code is made on the gateway itself, by: perseus-agent code new"
}

// codePage serves GET /code: the question whether to make a new code.
func (s *server) codePage(w http.ResponseWriter, r *http.Request) {
	st := s.agent.Status()
	v := s.codeOf(st, r)
	if v == nil || v.Replaces == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	s.showCode(w, http.StatusOK, st, v)
}

// postCode serves POST /code, the answer. It is guarded as the form that enrols:
// see postEnrol. Who has a new code can answer for the business, but the old one
// is of no use any more, and accounts that held the site lose it.
func (s *server) postCode(w http.ResponseWriter, r *http.Request) {
	if !s.ourForm(w, r) {
		return
	}
	if no := s.mayCode(r); no != "" {
		http.Error(w, no, http.StatusForbidden)
		return
	}
	st := s.agent.Status()
	v := s.codeOf(st, r)
	if v == nil {
		http.Error(w, statement(agent.ErrNoCode.Error()), http.StatusConflict)
		return
	}
	if r.PostForm.Get("replaces") == v.Replaces { // else it is made already: the form came twice
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), codeTime)
		defer cancel()
		code, err := s.agent.NewCode(ctx)
		if code == "" {
			v.Problem = statement(err.Error())
			s.showCode(w, http.StatusInternalServerError, st, v)
			return
		}
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *server) showCode(w http.ResponseWriter, status int, st agent.Status, v *codeView) {
	v.Asks = true
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	err := pageTemplate.ExecuteTemplate(w, "codePage", view{Style: template.CSS(style), Status: st, Today: st.Now.In(energy.London()).Format("Monday 2 January 2006"), Code: v})
	if err != nil {
		s.log.Debug("page not delivered", "error", err)
	}
}

// NewCodeAnswer is the answer of POST /api/v1/code.
type NewCodeAnswer struct {
	Code    string `json:"siteCode"`
	NotTold string `json:"notTold,omitempty"` // why the relay could not be told of it yet
}

// newCode serves POST /api/v1/code, for the command.
func (s *server) newCode(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), codeTime)
	defer cancel()
	code, err := s.agent.NewCode(ctx)
	var not *uplink.CodeNotTold
	switch {
	case errors.As(err, &not):
		answer(w, http.StatusOK, NewCodeAnswer{code, not.Error()})
	case errors.Is(err, agent.ErrNoCode):
		fail(w, http.StatusConflict, "records_only", err.Error())
	case err != nil:
		fail(w, http.StatusInternalServerError, "code_not_made", err.Error())
	default:
		answer(w, http.StatusOK, NewCodeAnswer{Code: code})
	}
}
