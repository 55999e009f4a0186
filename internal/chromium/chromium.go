// Package chromium drives a headless Chromium in its DevTools protocol, for
// tests alone: pages are used by keyboard, as wide as a telephone or a desk,
// with what the browser complains of collected.
package chromium

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

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
