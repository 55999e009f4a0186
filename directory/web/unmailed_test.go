package web

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// Where there is mail, the mail is what shows whose an address is: an owner
// whose invitation cannot be sent does not get its link, with which any address
// could be taken. An administrator does, and hands it over.
func TestAnInvitationThatIsNotMailedIsNotShown(t *testing.T) {
	w := onSQLite(t)
	olive := w.signUp("olive@perse.example", "perse", false)
	ada := w.signUp("ada@directory.example", "", true)
	w.app.Mail = func(context.Context, string, string, string) error { return errors.New("451 too many messages") }
	p := olive.post(Prefix+"/o/perse/people", "email", "someone@bank.example")
	if p.is(502, "could not be sent"); strings.Contains(p.body, "/invitation/") {
		t.Error("an owner sees the link")
	}
	if p := ada.post(Prefix+"/o/perse/people", "email", "someone@bank.example").is(200, ""); !strings.Contains(p.body, "/invitation/") {
		t.Error("an administrator sees no link")
	}
	w.app.Mail = nil
	if p := olive.post(Prefix+"/o/perse/people", "email", "someone@bank.example").is(200, ""); !strings.Contains(p.body, "/invitation/") {
		t.Error("without mail an owner sees no link")
	}
}
