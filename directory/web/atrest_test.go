package web

import (
	"bytes"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory/account"
)

// What lies in the database, and so in every backup, opens nothing: not even
// the link on which somebody with an account waits to sign in.
func TestNoLinkLiesInTheDatabase(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		olive := w.signUp("olive@perse.example", "perse", false)
		link := w.invitation(account.Link{Email: olive.email, Member: "bank"})
		b := w.browser()
		b.get(link).is(200, "You have an account already")
		look := func(when string) {
			rows, err := w.dir.DB.Query(`SELECT data FROM directory_sessions`)
			w.must(err)
			defer rows.Close()
			n := 0
			for ; rows.Next(); n++ {
				var data []byte
				w.must(rows.Scan(&data))
				if bytes.Contains(data, []byte(strings.TrimPrefix(link, Prefix+"/invitation/"))) {
					t.Errorf("%s: a session holds the secret of a link", when)
				}
			}
			w.must(rows.Err())
			if n < 2 {
				t.Errorf("%s: %d sessions", when, n)
			}
		}
		look("after a look at the invitation")
		b.post(Prefix+"/sign-in", "email", olive.email, "password", goodPassword, "next", link).leads(Prefix + "/sign-in/second")
		look("between the steps")
		b.post(Prefix+"/sign-in/second", "code", w.code(olive.secret)).leads(link)
	})
}
