package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/identity/qr"
)

// codeFlag is where the QR code of an enrolment code goes.
type codeFlag struct{ path string }

func (q *codeFlag) declare(f *flag.FlagSet) {
	f.StringVar(&q.path, "qr", "", "`file` for the QR code: .png, .svg, or any other for text that a terminal shows, such as /dev/stderr")
}

// shown is what is printed of a code, and draws it.
func (q *codeFlag) shown(d *directory.Service, g directory.Gateway, c directory.Code) (map[string]string, error) {
	out := map[string]string{"id": g.ID, "url": d.GatewayURL(g.ID), "site": g.Site, "site_id": g.SiteID,
		"code": c.Text, "code_link": c.Link, "code_expires": c.Expires.Format(time.RFC3339)}
	if q.path == "" {
		return out, nil
	}
	var drawn []byte
	var err error
	switch filepath.Ext(q.path) {
	case ".png":
		drawn, err = qr.PNG(c.Link, 400)
	case ".svg":
		svg, e := qr.SVG(c.Link, "enrolment code of gateway "+g.Name)
		drawn, err = []byte(svg), e
	default:
		text, e := qr.Text(c.Link)
		drawn, err = []byte(text), e
	}
	if err == nil {
		err = os.WriteFile(q.path, drawn, 0o600)
	}
	if err != nil {
		return out, halfDone{fmt.Errorf("the code was made (it is printed), but not its picture: %w", err)}
	}
	return out, nil
}

func siteAdd(f *flag.FlagSet) adminFunc {
	var x directory.Site
	var q codeFlag
	q.declare(f)
	f.StringVar(&x.Member, "member", "", "`id` of the member")
	f.StringVar(&x.Name, "name", "", "`name` of the site; not public")
	f.StringVar(&x.Outcode, "outcode", "", "first half of its `postcode`, such as SW8")
	app := f.String("application", "", "`id` of the member's application that the gateway belongs to; may be left out")
	gateway := f.String("gateway", "", "`name` of the gateway there; the site's where left out")
	return func(ctx context.Context, c *config, d *directory.Service) (any, error) {
		if x.Member == "" || x.Name == "" || x.Outcode == "" {
			return nil, fmt.Errorf("%w: give --member, --name and --outcode", errUsage)
		}
		p, err := d.OpenSite(ctx, x, *app, *gateway)
		if err != nil {
			return nil, err
		}
		return q.shown(d, p.Gateway, p.Code)
	}
}

func siteList(f *flag.FlagSet) adminFunc {
	member := f.String("member", "", "`id` of the member")
	return func(ctx context.Context, c *config, d *directory.Service) (any, error) {
		if *member == "" {
			return nil, fmt.Errorf("%w: give --member", errUsage)
		}
		xs, err := d.Sites(ctx, *member)
		out := []map[string]string{}
		for _, x := range xs {
			out = append(out, map[string]string{"id": x.ID, "name": x.Name, "outcode": x.Outcode, "created": x.Created.Format(time.RFC3339)})
		}
		return out, err
	}
}

func gatewayAdd(f *flag.FlagSet) adminFunc {
	var g directory.Gateway
	var q codeFlag
	q.declare(f)
	f.StringVar(&g.Member, "member", "", "`id` of the member that runs it")
	f.StringVar(&g.Application, "application", "", "`id` of the member's application that it belongs to; may be left out")
	f.StringVar(&g.Name, "name", "", "`name`")
	f.StringVar(&g.Site, "site", "", "`name` of its site; not public. A new one is made")
	f.StringVar(&g.SiteID, "site-id", "", "or `id` of its site (site list)")
	return func(ctx context.Context, c *config, d *directory.Service) (any, error) {
		if g.Member == "" || g.Name == "" || g.Site == "" && g.SiteID == "" {
			return nil, fmt.Errorf("%w: give --member, --name and --site", errUsage)
		}
		g, code, err := d.OpenGateway(ctx, g)
		if err != nil {
			return nil, err
		}
		return q.shown(d, g, code)
	}
}

func gatewayList(f *flag.FlagSet) adminFunc {
	member := f.String("member", "", "`id` of the member")
	return func(ctx context.Context, c *config, d *directory.Service) (any, error) {
		if *member == "" {
			return nil, fmt.Errorf("%w: give --member", errUsage)
		}
		gs, err := d.Gateways(ctx, *member)
		out := []map[string]string{}
		for _, g := range gs {
			st, err := d.Standing(ctx, g.ID)
			if err != nil {
				return nil, err
			}
			v := map[string]string{"id": g.ID, "url": d.GatewayURL(g.ID), "name": g.Name, "site": g.Site, "outcode": g.Outcode, "state": st.State}
			for k, t := range map[string]time.Time{"enrolled": g.Enrolled, "until": st.Until, "revoked": st.Revoked, "code_expires": st.CodeExpires} {
				if !t.IsZero() {
					v[k] = t.Format(time.RFC3339)
				}
			}
			out = append(out, v)
		}
		return out, err
	}
}

// onGateway is a command for one gateway.
func onGateway(f *flag.FlagSet, do func(ctx context.Context, d *directory.Service, id string) (any, error)) adminFunc {
	id := f.String("id", "", "`id` of the gateway (gateway list)")
	return func(ctx context.Context, c *config, d *directory.Service) (any, error) {
		if *id == "" {
			return nil, fmt.Errorf("%w: give --id", errUsage)
		}
		return do(ctx, d, *id)
	}
}

func gatewayCode(f *flag.FlagSet) adminFunc {
	var q codeFlag
	q.declare(f)
	return onGateway(f, func(ctx context.Context, d *directory.Service, id string) (any, error) {
		g, err := d.Gateway(ctx, id)
		if err != nil {
			return nil, err
		}
		code, err := d.IssueCode(ctx, id)
		if err != nil {
			return nil, err
		}
		return q.shown(d, g, code)
	})
}

func gatewayWithdraw(f *flag.FlagSet) adminFunc {
	return onGateway(f, func(ctx context.Context, d *directory.Service, id string) (any, error) {
		was, err := d.WithdrawCode(ctx, id)
		return map[string]bool{"withdrawn": was}, err
	})
}

func gatewayRevoke(f *flag.FlagSet) adminFunc {
	why := f.String("reason", "", "one `line` for the log")
	return onGateway(f, func(ctx context.Context, d *directory.Service, id string) (any, error) {
		n, err := d.RevokeGateway(ctx, id, *why)
		return map[string]any{"revoked": d.GatewayURL(id), "certificates": n}, err
	})
}
