package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// business plays the shop owner at a browser: it reads the pages as they are
// served and fills in their forms. It knows no shortcut that a person has not.
type business struct {
	http *http.Client
	code string // what the gateway's page shows
}

// agree goes from the authorisation link to the redirect back to the bank, and
// gives that redirect's URL.
func (b *business) agree(ctx context.Context, link string) (*url.URL, error) {
	page, err := b.open(ctx, http.MethodGet, link, nil)
	for step := 0; err == nil && page.redirect == nil && step < 4; step++ {
		if len(page.form) == 0 {
			return nil, fmt.Errorf("the page at %s has nothing to fill in: %s", page.url, page.text)
		}
		values := url.Values{}
		for _, in := range page.form {
			switch {
			case in.kind == "hidden":
				values.Set(in.name, in.value)
			case in.kind == "text":
				values.Set(in.name, b.code)
			case in.kind == "checkbox":
				values.Set(in.name, in.value)
			}
		}
		for _, in := range page.form {
			if in.kind == "submit" { // the first button is the one that goes on
				if in.name != "" {
					values.Set(in.name, in.value)
				}
				break
			}
		}
		page, err = b.open(ctx, http.MethodPost, page.action, values)
	}
	switch {
	case err != nil:
		return nil, err
	case page.redirect == nil:
		return nil, fmt.Errorf("the permission page at %s does not come to an end: %s", page.url, page.text)
	case page.redirect.Query().Get("error") != "":
		return nil, errors.New("the permission was not given: " + page.redirect.Query().Get("error_description"))
	}
	return page.redirect, nil
}

type page struct {
	url      string
	action   string
	form     []input // of the first form
	forms    int     // met so far
	text     string
	redirect *url.URL // set when the page sends the browser elsewhere
}

type input struct{ kind, name, value string }

func (b *business) open(ctx context.Context, method, link string, form url.Values) (*page, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, link, body)
	if err != nil {
		return nil, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", req.URL.Scheme+"://"+req.URL.Host)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	req.Header.Set("User-Agent", "perseus-sim demo (a shop owner's browser)")
	c := *b.http
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if to, err := resp.Location(); err == nil {
		if to.Host != req.URL.Host {
			return &page{url: link, redirect: to}, nil
		}
		return b.open(ctx, http.MethodGet, to.String(), nil)
	}
	doc, err := html.Parse(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	p := &page{url: link, action: link}
	p.read(doc, req.URL)
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %s", link, resp.Status, p.text)
	}
	return p, nil
}

// read collects the first form of a document, and its words.
func (p *page) read(n *html.Node, base *url.URL) {
	attr := func(name string) string {
		for _, a := range n.Attr {
			if a.Key == name {
				return a.Val
			}
		}
		return ""
	}
	switch {
	case n.Type == html.TextNode:
		p.text = strings.TrimSpace(p.text + " " + strings.Join(strings.Fields(n.Data), " "))
	case n.Type == html.ElementNode && (n.Data == "style" || n.Data == "script"):
		return
	case n.Type == html.ElementNode && n.Data == "form":
		p.forms++
		if to, err := base.Parse(attr("action")); err == nil && p.forms == 1 && attr("action") != "" {
			p.action = to.String()
		}
	case n.Type == html.ElementNode && p.forms > 1: // the second form is the way out
	case n.Type == html.ElementNode && n.Data == "input":
		kind := attr("type")
		if kind == "" {
			kind = "text"
		}
		p.form = append(p.form, input{kind, attr("name"), attr("value")})
	case n.Type == html.ElementNode && n.Data == "button" && p.forms == 1: // not that which changes the language
		p.form = append(p.form, input{"submit", attr("name"), attr("value")})
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		p.read(c, base)
	}
}
