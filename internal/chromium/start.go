package chromium

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

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

type event struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct{ Message string }
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
