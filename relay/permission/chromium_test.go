package permission_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"

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

// chromium is one page of a headless Chromium, spoken to in its DevTools
// protocol.
type chromium struct {
	t          *testing.T
	ws         *websocket.Conn
	id         int
	events     []event
	complaints []string // of the content policy and the like
}

type event struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct{ Message string }
}

func startChromium(t *testing.T, path string) *chromium {
	t.Helper()
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage",
		"--ignore-certificate-errors", "--remote-debugging-port=0", "--remote-allow-origins=*", "--user-data-dir="+t.TempDir(), "about:blank")
	stderr, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	c := &chromium{t: t}
	t.Cleanup(func() {
		kill := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
		defer kill.Stop()
		if c.ws == nil {
			cmd.Process.Kill()
		} else { // asked to go, it is done with its folder
			c.ws.SetDeadline(time.Now().Add(5 * time.Second))
			websocket.JSON.Send(c.ws, map[string]any{"id": 1 << 20, "method": "Browser.close"})
		}
		cmd.Wait()
	})
	listening := regexp.MustCompile(`DevTools listening on ws://(\S+?)/`)
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		m := listening.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		go func() { // or the pipe fills
			for lines.Scan() {
			}
		}()
		c.ws, err = websocket.Dial(firstPage(t, m[1]), "", "http://"+m[1])
		must(t, err)
		must(t, c.ws.SetDeadline(time.Now().Add(5*time.Minute)))
		return c
	}
	t.Fatal("chromium did not start")
	return nil
}

// firstPage gives the page's address, once there is one: a browser listens
// before it has opened it.
func firstPage(t *testing.T, host string) string {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		res, err := http.Get("http://" + host + "/json/list")
		must(t, err)
		var pages []struct{ Type, WebSocketDebuggerURL string }
		err = json.NewDecoder(res.Body).Decode(&pages)
		res.Body.Close()
		must(t, err)
		for _, p := range pages {
			if p.Type == "page" {
				return p.WebSocketDebuggerURL
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("chromium shows no page: %+v", pages)
		}
	}
}

func (c *chromium) read() event {
	c.t.Helper()
	var e event
	must(c.t, websocket.JSON.Receive(c.ws, &e))
	if e.Method == "Log.entryAdded" && strings.Contains(string(e.Params), "Content Security Policy") {
		c.complaints = append(c.complaints, string(e.Params))
	}
	return e
}

func (c *chromium) call(method string, params any) json.RawMessage {
	c.t.Helper()
	c.id++
	must(c.t, websocket.JSON.Send(c.ws, map[string]any{"id": c.id, "method": method, "params": params}))
	for {
		e := c.read()
		if e.ID == c.id {
			if e.Error != nil {
				c.t.Fatalf("%s: %s", method, e.Error.Message)
			}
			return e.Result
		}
		c.events = append(c.events, e)
	}
}

// loaded waits for the page that the last act led to.
func (c *chromium) loaded() {
	c.t.Helper()
	for i, e := range c.events {
		if e.Method == "Page.loadEventFired" {
			c.events = c.events[i+1:]
			return
		}
	}
	c.events = nil
	for c.read().Method != "Page.loadEventFired" {
	}
}

func (c *chromium) open(u string) {
	c.t.Helper()
	c.events = nil
	c.call("Page.navigate", map[string]any{"url": u})
	c.loaded()
}

// wait fails unless the page in front has the title.
func (c *chromium) wait(title string) {
	c.t.Helper()
	var history struct {
		CurrentIndex int
		Entries      []struct{ URL, Title string }
	}
	must(c.t, json.Unmarshal(c.call("Page.getNavigationHistory", nil), &history))
	if got := history.Entries[history.CurrentIndex]; got.Title != title {
		c.t.Fatalf("on page %q (%s), want %q; complaints: %v", got.Title, got.URL, title, c.complaints)
	}
}

func (c *chromium) focus(selector string) {
	c.t.Helper()
	var doc struct{ Root struct{ NodeID int } }
	must(c.t, json.Unmarshal(c.call("DOM.getDocument", nil), &doc))
	var found struct{ NodeID int }
	must(c.t, json.Unmarshal(c.call("DOM.querySelector", map[string]any{"nodeId": doc.Root.NodeID, "selector": selector}), &found))
	if found.NodeID == 0 {
		c.t.Fatalf("nothing on the page matches %s", selector)
	}
	c.call("DOM.focus", map[string]any{"nodeId": found.NodeID})
}

// focused gives the identifier of the element that has the focus.
func (c *chromium) focused() string {
	c.t.Helper()
	return c.ask("document.activeElement.id")
}

// ask evaluates an expression. The page's own scripts stay off.
func (c *chromium) ask(expression string) string {
	c.t.Helper()
	c.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": false})
	defer c.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true})
	var got struct{ Result struct{ Value any } }
	must(c.t, json.Unmarshal(c.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}), &got))
	return fmt.Sprint(got.Result.Value)
}

func (c *chromium) clear(selector string) {
	c.t.Helper()
	c.ask("document.querySelector(" + strconv.Quote(selector) + ").value = ''")
}

// labelled asks the accessibility tree, which is what a screen reader is given,
// whether there is anything to operate without a name, and whether the page has
// its landmarks and one heading of the first level.
func (c *chromium) labelled() {
	c.t.Helper()
	c.call("Accessibility.enable", nil)
	var tree struct {
		Nodes []struct {
			Ignored    bool
			Role, Name struct{ Value string }
			Properties []struct {
				Name  string
				Value struct{ Value any }
			}
		}
	}
	must(c.t, json.Unmarshal(c.call("Accessibility.getFullAXTree", nil), &tree))
	roles := map[string]int{}
	for _, n := range tree.Nodes {
		if n.Ignored {
			continue
		}
		roles[n.Role.Value]++
		if slices.Contains([]string{"button", "link", "textbox", "heading", "region"}, n.Role.Value) && strings.TrimSpace(n.Name.Value) == "" {
			c.t.Errorf("a %s without a name", n.Role.Value)
		}
		for _, p := range n.Properties {
			if n.Role.Value == "heading" && p.Name == "level" {
				roles["h"+fmt.Sprint(p.Value.Value)]++
			}
		}
	}
	if roles["main"] != 1 || roles["banner"] != 1 || roles["h1"] != 1 {
		c.t.Errorf("landmarks and headings: %v", roles)
	}
	c.call("Accessibility.disable", nil)
}

func (c *chromium) typeInto(selector, text string) {
	c.t.Helper()
	c.focus(selector)
	c.call("Input.insertText", map[string]any{"text": text})
}

// press presses Enter on a button or link and waits for the next page.
func (c *chromium) press(selector string) {
	c.t.Helper()
	c.focus(selector)
	c.events = nil
	for _, kind := range []string{"keyDown", "keyUp"} {
		c.call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13})
	}
	c.loaded()
}

// fits fails when the page is wider than the screen, or has lost its style.
func (c *chromium) fits(page string) {
	c.t.Helper()
	var m struct {
		CSSContentSize struct{ Width, Height float64 }
	}
	must(c.t, json.Unmarshal(c.call("Page.getLayoutMetrics", nil), &m))
	if m.CSSContentSize.Width > 320 {
		c.t.Errorf("%s is %v px wide", page, m.CSSContentSize.Width)
	}
	c.shoot(page, m.CSSContentSize.Width, m.CSSContentSize.Height)
}

// shoot keeps pictures of the page, narrow and wide, where somebody wants to
// look at them: PERSEUS_SCREENSHOTS names the folder.
func (c *chromium) shoot(page string, width, height float64) {
	c.t.Helper()
	dir := os.Getenv("PERSEUS_SCREENSHOTS")
	if dir == "" {
		return
	}
	for _, w := range []float64{1280, 320} {
		c.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": w, "height": 900, "deviceScaleFactor": 1, "mobile": false})
		var shot struct{ Data []byte }
		must(c.t, json.Unmarshal(c.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}), &shot))
		must(c.t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%v.png", strings.ReplaceAll(page, " ", "-"), w)), shot.Data, 0o644))
	}
}

func openSQLite(t *testing.T) *database.DB { return openAt(t, "sqlite:"+t.TempDir()+"/relay.db") }
