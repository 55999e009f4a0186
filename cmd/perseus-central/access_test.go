package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/server"
	"github.com/perseus-edge/perseus-edge/directory/web"
)

var accessRow = regexp.MustCompile("(?m)^\\| ([A-Z]+) \\| `([^`]+)` \\| (.+) \\|$")

// accessTable reads docs/access.md: who may, by "METHOD /path".
func accessTable(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile("../../docs/access.md")
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]string{}
	for _, m := range accessRow.FindAllStringSubmatch(string(b), -1) {
		key := m[1] + " " + m[2]
		if table[key] != "" {
			t.Errorf("%s is twice in the table", key)
		}
		table[key] = m[3]
	}
	return table
}

// TestWhoMayDoWhat: docs/access.md has every address of a directory and no
// other, and each row is so for nobody, for a wrong token, for each kind of
// token, and for what is no signature.
func TestWhoMayDoWhat(t *testing.T) {
	text, _ := listened(t)
	path := write(t, text)
	ok(t, "init", "--config", path)
	c, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	db, dir, err := openDirectory(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	front, err := openServer(c, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	handler, _, err := manage(c, dir, front.Handler())
	if err != nil {
		t.Fatal(err)
	}
	table := accessTable(t)
	registered(t, c, dir, front, table)

	token := func(member string, access directory.Access) string {
		s, err := dir.IssueToken(t.Context(), member, access)
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + s
	}
	callers := map[string]string{"nobody": "", "a wrong token": "Bearer pdt_wrong", "another scheme": "Basic " + token("metering", directory.Owner)[7:],
		"reader": token("metering", directory.Reader), "owner": token("metering", directory.Owner), "administrator": token("", directory.Admin)}
	for key, who := range table {
		method, pattern, _ := strings.Cut(key, " ")
		address := filled(pattern)
		for caller, authorization := range callers {
			r := httptest.NewRequestWithContext(t.Context(), method, address, strings.NewReader("{}"))
			r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", len(key)%250) // not all from one: wrong codes are counted
			if authorization != "" {
				r.Header.Set("Authorization", authorization)
				r.Header.Set("X-Organization", "metering")
			}
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if why := refused(who, caller, w); why != "" {
				t.Errorf("%s as %s: %d, but %s: %.200s", key, caller, w.Code, why, w.Body)
			}
		}
	}
}

// refused says what is wrong with an answer, if anything.
func refused(who, caller string, w *httptest.ResponseRecorder) string {
	code := w.Code
	toSignIn := code == http.StatusSeeOther && strings.HasPrefix(w.Header().Get("Location"), web.Prefix+"/sign-in")
	anonymous := slices.Contains([]string{"nobody", "a wrong token", "another scheme"}, caller)
	denied := code == 401 || code == 403
	need := func(ok bool, why string) string {
		if ok {
			return ""
		}
		return why
	}
	switch who {
	case "everybody", "everybody, with a code":
		return need(code != 401 && code != 405 && code < 500, "everybody may")
	case "gateway certificate":
		return need(code == 401, "only a gateway's certificate opens it")
	case "ACME key", "ACME account", "ACME account or the certificate's key":
		return need(code >= 400 && code < 500, "it needs a signature")
	case "reader token", "owner token", "administrator token":
		kind := strings.TrimSuffix(who, " token")
		allowed := caller == "administrator" || caller == kind || kind == "reader" && caller == "owner"
		switch {
		case anonymous:
			return need(code == 401, "it needs a token")
		case !allowed:
			return need(code == 403, "this token does not suffice")
		}
		return need(!denied && code < 500, "this token suffices")
	case "person", "person, recently", "owner", "administrator", "administrator, recently":
		return need(denied || toSignIn, "it needs a session, which a token does not give")
	}
	return "the table has an unknown word: " + who
}

var wildcard = regexp.MustCompile(`\{[^}]*\}`)

// filled puts something into the wildcards of a pattern: things of the member
// where there are any, or names that are not there.
func filled(pattern string) string {
	pattern = strings.TrimSuffix(pattern, "{$}")
	pattern = strings.NewReplacer("/members/applications/{id}", "/members/applications/relay", "/o/{member}", "/o/metering", "{type}", "client", "{label}", "client", "/m/{id}", "/m/metering").Replace(pattern)
	return wildcard.ReplaceAllString(pattern, "x")
}

// registered compares the table with what is registered, and looks that nothing
// is registered besides.
func registered(t *testing.T, c *config, dir *directory.Service, front *server.Server, table map[string]string) {
	t.Helper()
	accounts, err := openAccounts(c, dir)
	if err != nil {
		t.Fatal(err)
	}
	app, err := web.New(web.Config{Directory: dir, Accounts: accounts, Logger: dir.Logger})
	if err != nil {
		t.Fatal(err)
	}
	there := slices.Concat(front.Endpoints(), app.Endpoints())
	for _, e := range there {
		if table[e] == "" {
			t.Errorf("%s is not in docs/access.md: say there who may", e)
		}
	}
	for _, e := range slices.Sorted(maps.Keys(table)) {
		if !slices.Contains(there, e) {
			t.Errorf("docs/access.md has %s, which is not there", e)
		}
	}
	// Each package registers its own table of routes in one place, and what is
	// written here besides.
	want := map[string]int{"directory/server/server.go": 3, "directory/status/status.go": 2, "directory/acme/acme.go": 2, "directory/web/web.go": 4, "directory/registry/http.go": -1}
	call := regexp.MustCompile(`\.Handle(Func)?\(`)
	for _, folder := range []string{"directory", "directory/*", "directory/*/*"} {
		files, err := filepath.Glob(filepath.Join("../..", folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(folder, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.ToSlash(strings.TrimPrefix(file, filepath.FromSlash("../../")))
			if n := len(call.FindAll(b, -1)); n != want[name] && want[name] >= 0 {
				t.Errorf("%s registers %d handlers, known are %d: put the new one into the package's table of routes", name, n, want[name])
			}
		}
	}
}
