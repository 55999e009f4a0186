package permission_test

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/perseus-edge/perseus-edge/relay/database"
)

// TestRealBrowser goes through the pages in Chromium, 320 px wide, scripts
// off, by keyboard alone. It shows what no HTTP client can: that the content
// policy lets the pages have their style and lets the answer lead back to the
// client, even when the client redirects again.
func TestRealBrowser(t *testing.T) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed: install it to test the pages in a real browser")
	}
	w := newWorld(t, openSQLite(t))
	var arrived []string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cb", func(rw http.ResponseWriter, r *http.Request) {
		arrived = append(arrived, r.URL.RawQuery)
		_, port, _ := strings.Cut(r.Host, ":")
		http.Redirect(rw, r, "http://localhost:"+port+"/done", http.StatusFound)
	})
	mux.HandleFunc("GET /done", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		rw.Write([]byte("<title>Done</title>"))
	})
	client := httptest.NewServer(mux)
	defer client.Close()

	c := startChromium(t, path)
	c.call("Page.enable", nil)
	c.call("Network.enable", nil)
	c.call("Log.enable", nil)
	c.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true})
	c.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": 320, "height": 900, "deviceScaleFactor": 1, "mobile": false})

	_, challenge := pkce()
	f := w.bank.parForm(perseus.LicenseCombined(), challenge)
	f.Set("redirect_uri", client.URL+"/cb")
	c.open(w.authorizeURL(bankURL, w.bank.post("/oauth/par", f).str("request_uri")))
	c.fits("the code page")
	c.typeInto("#code", "0000-0000-0000")
	c.press(`form.card button`)
	c.wait("Problem: Which meter is yours?")
	c.fits("a wrong code")
	if got := c.focused(); got != "code" { // where the person has to do something
		t.Errorf("after the error the focus is on %q", got)
	}
	c.press(`header button`)
	c.wait("Problem: Pa un yw eich mesurydd chi?")
	c.fits("a wrong code in Welsh")
	c.press(`header button`)
	c.clear("#code")
	c.typeInto("#code", "7k2m 9qxa o4tb") // as people type
	c.press(`form.card button`)
	c.wait("Do you agree?")
	c.fits("the offer")
	c.press(`header button`)
	c.wait("Ydych chi’n cytuno?")
	c.fits("the offer in Welsh")
	c.press(`header button`)
	c.wait("Do you agree?")
	c.labelled()
	c.press(`button[value=agree]`)
	c.wait("Done")
	if len(arrived) != 1 || !strings.Contains(arrived[0], "code=") {
		t.Errorf("the client got %q", arrived)
	}

	c.open(w.issuer + "/permissions")
	c.fits("the permissions page")
	c.typeInto("#code", code1)
	c.press(`form.card button`)
	c.fits("the list")
	c.labelled()
	c.press(`button.end`)
	c.wait("Withdraw this permission?")
	c.fits("the question")
	c.labelled()
	c.press(`button[name=sure]`)
	c.wait("Your permissions")
	c.fits("the list after withdrawal")
	c.press(`a[href*="/evidence/"]`)
	c.wait("Evidence of a permission")
	c.fits("the evidence page")
	c.labelled()
	c.press(`header a`)
	c.wait("Tystiolaeth o ganiatâd")
	c.fits("the evidence page in Welsh")
	for _, m := range c.complaints {
		t.Errorf("the browser complains: %s", m)
	}
}

func openSQLite(t *testing.T) *database.DB { return openAt(t, "sqlite:"+t.TempDir()+"/relay.db") }
