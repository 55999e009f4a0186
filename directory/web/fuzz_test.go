package web

import (
	"net/url"
	"strings"
	"testing"
)

// A page to go to after signing in is on this host, whatever a browser makes of
// its address.
func FuzzOurs(f *testing.F) {
	for _, s := range []string{"/manage/o/x", "//evil.example/manage/", `/manage/\evil`, "/manage/..//evil", "/manage/?x=//evil", "https://evil.example/manage/", "/manage/%2e%2e/", "/manage/.."} {
		f.Add(s)
	}
	base, err := url.Parse("https://directory.example.org/manage/sign-in")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, to string) {
		if !ours(to) {
			return
		}
		u, err := base.Parse(to)
		if err != nil || u.Scheme != "https" || u.Host != "directory.example.org" || u.User != nil || !strings.HasPrefix(u.Path, Prefix+"/") {
			t.Errorf("%q leads to %v %v", to, u, err)
		}
		if strings.ContainsAny(to, "\\\r\n") {
			t.Errorf("%q has what browsers read in their own way", to)
		}
	})
}
