package web

import (
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/account"
)

// Nothing but the second factor makes a session fresh: an invitation, which
// anybody may have got for it, does not.
func TestAnInvitationIsNoSecondFactor(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ada := w.signUp("ada@directory.example", "", true)
		w.pass(freshFor)
		stale := func(when string) {
			t.Helper()
			ada.get(Prefix + "/account/password").leads(Prefix + "/confirm")
			ada.post(Prefix+"/admin/people/invite", "email", "mal@directory.example").leads(Prefix + "/confirm")
			if ls, err := w.accounts.Invitations(w.ctx(), ""); err != nil || len(ls) != 0 {
				t.Errorf("%s: invited %+v %v", when, ls, err)
			}
		}
		stale("before")
		ada.post(w.invitation(account.Link{Email: ada.email, Member: "bank"}) + "/accept").leads(Prefix + "/o/bank")
		stale("after an invitation")
		ada.post(w.invitation(account.Link{Email: ada.email, Administrator: true}) + "/accept").leads(Prefix + "/admin")
		stale("after one of an administrator, which ends all other sessions")
		ada.post(Prefix+"/confirm", "code", w.code(ada.secret)).is(303, "")
		ada.get(Prefix+"/account/password").is(200, "")
	})
}
