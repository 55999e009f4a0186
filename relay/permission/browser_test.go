package permission_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
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
)

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
