// Package chromium drives a headless Chromium in its DevTools protocol, for
// tests alone: pages are used by keyboard, as wide as a telephone or a desk,
// with what the browser complains of collected.
package chromium

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// Page is one page of a browser. Its methods end the test when the browser
// fails.
type Page struct {
	Complaints []string // of the content policy, and errors of scripts

	t       testing.TB
	ws      *websocket.Conn
	id      int
	events  []event
	without bool // the pages' own scripts
}

type event struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct{ Message string }
}

// Start starts a browser that takes any certificate, and ends it with the test.
// It skips the test where Chromium is not installed.
func Start(t testing.TB) *Page {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed: install it to test the pages in a real browser")
	}
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage",
		"--ignore-certificate-errors", "--remote-debugging-port=0", "--remote-allow-origins=*", "--user-data-dir="+t.TempDir(), "about:blank")
	p := &Page{t: t}
	stderr, err := cmd.StderrPipe()
	p.must(err)
	p.must(cmd.Start())
	t.Cleanup(func() {
		kill := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
		defer kill.Stop()
		if p.ws == nil {
			cmd.Process.Kill()
		} else { // asked to go, it is done with its folder
			p.ws.SetDeadline(time.Now().Add(5 * time.Second))
			websocket.JSON.Send(p.ws, map[string]any{"id": 1 << 20, "method": "Browser.close"})
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
		p.ws, err = websocket.Dial(p.first(m[1]), "", "http://"+m[1])
		p.must(err)
		p.must(p.ws.SetDeadline(time.Now().Add(5 * time.Minute)))
		for _, domain := range []string{"Page.enable", "Network.enable", "Log.enable", "Runtime.enable"} {
			p.Call(domain, nil)
		}
		return p
	}
	t.Fatal("chromium did not start")
	return nil
}

func (p *Page) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("chromium: %v", err)
	}
}

// first gives the address of the browser's page, once there is one: a browser
// listens before it has opened it.
func (p *Page) first(host string) string {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		res, err := http.Get("http://" + host + "/json/list")
		p.must(err)
		var pages []struct{ Type, WebSocketDebuggerURL string }
		err = json.NewDecoder(res.Body).Decode(&pages)
		res.Body.Close()
		p.must(err)
		for _, x := range pages {
			if x.Type == "page" {
				return x.WebSocketDebuggerURL
			}
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("chromium shows no page: %+v", pages)
		}
	}
}

func (p *Page) read() event {
	p.t.Helper()
	var e event
	p.must(websocket.JSON.Receive(p.ws, &e))
	if e.Method == "Log.entryAdded" && strings.Contains(string(e.Params), "Content Security Policy") || e.Method == "Runtime.exceptionThrown" {
		p.Complaints = append(p.Complaints, string(e.Params))
	}
	return e
}

// Call calls a method of the DevTools protocol.
func (p *Page) Call(method string, params any) json.RawMessage {
	p.t.Helper()
	p.id++
	p.must(websocket.JSON.Send(p.ws, map[string]any{"id": p.id, "method": method, "params": params}))
	for {
		e := p.read()
		if e.ID == p.id {
			if e.Error != nil {
				p.t.Fatalf("chromium: %s: %s", method, e.Error.Message)
			}
			return e.Result
		}
		p.events = append(p.events, e)
	}
}

// loaded waits for the page that the last act led to.
func (p *Page) loaded() {
	p.t.Helper()
	for i, e := range p.events {
		if e.Method == "Page.loadEventFired" {
			p.events = p.events[i+1:]
			return
		}
	}
	p.events = nil
	for p.read().Method != "Page.loadEventFired" {
	}
}

// Width makes the window so many pixels wide.
func (p *Page) Width(pixels int) {
	p.t.Helper()
	p.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": false})
	p.Call("Emulation.setScrollbarsHidden", map[string]any{"hidden": true}) // as on a telephone
}

// Open opens an address.
func (p *Page) Open(url string) {
	p.t.Helper()
	p.events = nil
	p.Call("Page.navigate", map[string]any{"url": url})
	p.loaded()
}

// Scripts says whether the pages' own scripts run; at first they do.
func (p *Page) Scripts(run bool) {
	p.t.Helper()
	p.without = !run
	p.Call("Emulation.setScriptExecutionDisabled", map[string]any{"value": p.without})
}

// Eval gives what an expression is, as text.
func (p *Page) Eval(expression string) string {
	p.t.Helper()
	if p.without { // an expression is a script too
		p.Call("Emulation.setScriptExecutionDisabled", map[string]any{"value": false})
		defer p.Call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true})
	}
	var r struct {
		Result           struct{ Value any }
		ExceptionDetails json.RawMessage
	}
	p.must(json.Unmarshal(p.Call("Runtime.evaluate", map[string]any{"expression": "String(" + expression + ")", "returnByValue": true}), &r))
	s, _ := r.Result.Value.(string)
	return s
}

// Title fails the test unless the page in front has a heading. It returns the
// address of the page.
func (p *Page) Title(want string) string {
	p.t.Helper()
	at := p.Eval("location.href")
	if got := p.Eval(`document.querySelector("h1")?.textContent`); got != want {
		p.t.Fatalf("on page %q (%s), want %q: %s; complaints: %v", got, at, want, p.Text("main"), p.Complaints)
	}
	return at
}

// Text gives the text of what a selector finds first.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	return p.Eval(`document.querySelector(` + quote(selector) + `)?.innerText`)
}

func quote(s string) string {
	b, _ := json.Marshal(s) // a string: it does not fail
	return string(b)
}

func (p *Page) focus(selector string) {
	p.t.Helper()
	var doc struct{ Root struct{ NodeID int } }
	p.must(json.Unmarshal(p.Call("DOM.getDocument", nil), &doc))
	var found struct{ NodeID int }
	p.must(json.Unmarshal(p.Call("DOM.querySelector", map[string]any{"nodeId": doc.Root.NodeID, "selector": selector}), &found))
	if found.NodeID == 0 {
		p.t.Fatalf("nothing on the page matches %s: %s", selector, p.Text("main"))
	}
	p.Call("DOM.focus", map[string]any{"nodeId": found.NodeID})
}

// Type types into a field.
func (p *Page) Type(selector, text string) {
	p.t.Helper()
	p.focus(selector)
	p.Call("Input.insertText", map[string]any{"text": text})
}

// Tap presses a key on what a selector finds, and waits for nothing.
func (p *Page) Tap(selector, key string) {
	p.t.Helper()
	p.focus(selector)
	code, text := map[string]int{"Enter": 13, " ": 32}[key], map[string]string{"Enter": "\r", " ": " "}[key]
	for _, kind := range []string{"keyDown", "keyUp"} {
		p.Call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": key, "text": text, "windowsVirtualKeyCode": code})
	}
}

// Press presses Enter on a button or link and waits for the next page.
func (p *Page) Press(selector string) {
	p.t.Helper()
	p.events = nil
	p.Tap(selector, "Enter")
	p.loaded()
}

// Fits fails the test when the page is wider than the window.
func (p *Page) Fits(width int) {
	p.t.Helper()
	var m struct {
		CSSContentSize struct{ Width, Height float64 }
	}
	p.must(json.Unmarshal(p.Call("Page.getLayoutMetrics", nil), &m))
	if m.CSSContentSize.Width > float64(width) {
		p.t.Errorf("page %q is %v px wide, the window %d", p.Text("h1"), m.CSSContentSize.Width, width)
	}
}

// Named asks the accessibility tree, which is what a screen reader is given, and
// fails the test where there is something to operate without a name, or the page
// lacks its landmarks or its one heading of the first level.
func (p *Page) Named() {
	p.t.Helper()
	p.Call("Accessibility.enable", nil)
	defer p.Call("Accessibility.disable", nil)
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
	p.must(json.Unmarshal(p.Call("Accessibility.getFullAXTree", nil), &tree))
	roles := map[string]int{}
	for _, n := range tree.Nodes {
		if n.Ignored {
			continue
		}
		roles[n.Role.Value]++
		if slices.Contains([]string{"button", "link", "textbox", "heading", "region", "image"}, n.Role.Value) && strings.TrimSpace(n.Name.Value) == "" {
			p.t.Errorf("%s: a %s without a name", p.Text("h1"), n.Role.Value)
		}
		for _, x := range n.Properties {
			if n.Role.Value == "heading" && x.Name == "level" {
				roles["h"+fmt.Sprint(x.Value.Value)]++
			}
		}
	}
	if roles["main"] != 1 || roles["banner"] != 1 || roles["h1"] != 1 {
		p.t.Errorf("%s: landmarks and headings: %v", p.Text("h1"), roles)
	}
}

// Shot writes a picture of the whole page to a PNG file, where the environment
// variable PERSEUS_SHOTS names a folder for it.
func (p *Page) Shot(name string) {
	p.t.Helper()
	folder := os.Getenv("PERSEUS_SHOTS")
	if folder == "" {
		return
	}
	var r struct{ Data string }
	p.must(json.Unmarshal(p.Call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}), &r))
	b, err := base64.StdEncoding.DecodeString(r.Data)
	p.must(err)
	p.must(os.WriteFile(folder+"/"+name+".png", b, 0o600))
}
