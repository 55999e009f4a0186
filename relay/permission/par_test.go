package permission_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/identity/scheme"
)

func checkPARRefusals(t *testing.T, w *world) {
	_, challenge := pkce()
	good := func() url.Values { return w.bank.parForm(perseus.LicenseCombined(), challenge) }
	with := func(name string, values ...string) url.Values {
		f := good()
		f[name] = values
		return f
	}
	elsewhere, err := scheme.New("https://registry.other.example")
	must(t, err)
	for _, c := range []struct {
		name   string
		form   url.Values
		status int
		code   string
	}{
		{"another client's id", with("client_id", capURL), 401, "invalid_client"},
		{"no client id", with("client_id"), 401, "invalid_client"},
		{"plain PKCE", with("code_challenge_method", "plain"), 400, "invalid_request"},
		{"no PKCE method", with("code_challenge_method"), 400, "invalid_request"},
		{"no challenge", with("code_challenge"), 400, "invalid_request"},
		{"short challenge", with("code_challenge", "abc"), 400, "invalid_request"},
		{"not a licence", with("scope", "openid"), 400, "invalid_scope"},
		{"no scope", with("scope"), 400, "invalid_scope"},
		{"two licences", with("scope", perseus.LicenseCombined()+" "+perseus.LicenseEmissions()), 400, "invalid_scope"},
		{"another registry", with("scope", elsewhere.LicenseCombined()), 400, "invalid_scope"},
		{"an older licence", with("scope", strings.ReplaceAll(perseus.LicenseCombined(), scheme.Version, "2024-12-05")), 400, "invalid_scope"},
		{"a licence for another role", with("scope", perseus.LicenseConsumption()), 400, "unauthorized_client"},
		{"implicit flow", with("response_type", "token"), 400, "unsupported_response_type"},
		{"fragment mode", with("response_mode", "fragment"), 400, "invalid_request"},
		{"request object", with("request", "eyJ"), 400, "request_not_supported"},
		{"request_uri inside", with("request_uri", "urn:x"), 400, "invalid_request"},
		{"a parameter twice", with("scope", perseus.LicenseCombined(), perseus.LicenseCombined()), 400, "invalid_request"},
		{"a secret", with("client_secret", "x"), 400, "invalid_request"},
		{"no redirect_uri", with("redirect_uri"), 400, "invalid_request"},
		{"long state", with("state", strings.Repeat("s", 1025)), 400, "invalid_request"},
		{"giant", with("state", strings.Repeat("s", 20<<10)), 413, "invalid_request"},
	} {
		t.Run(c.name, func(t *testing.T) { refused(t, w.bank.post("/oauth/par", c.form), c.status, c.code) })
	}
	res := w.bank.post("/oauth/par", good())
	if n, _ := res.json()["expires_in"].(float64); res.Status != 201 || n <= 0 || n > 600 || !strings.HasPrefix(res.str("request_uri"), "urn:ietf:params:oauth:request_uri:") {
		t.Errorf("a good request got %d %s", res.Status, res.Body)
	}
	refused(t, w.gate.post("/oauth/par", w.gate.parForm(perseus.LicenseCombined(), challenge)), 400, "unauthorized_client")
}
