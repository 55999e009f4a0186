package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/audit"
	"github.com/perseus-edge/perseus-edge/identity"
)

// adminCommands are the commands that work on the directory's database beside
// a running server. Each declares its flags and gives what to do; what it
// returns is printed as JSON.
var adminCommands = map[string]func(*flag.FlagSet) adminFunc{
	"member add":         memberAdd,
	"application add":    applicationAdd,
	"certificate issue":  certificateIssue,
	"certificate revoke": certificateRevoke,
	"site add":           siteAdd,
	"site list":          siteList,
	"gateway add":        gatewayAdd,
	"gateway list":       gatewayList,
	"gateway code":       gatewayCode,
	"gateway withdraw":   gatewayWithdraw,
	"gateway revoke":     gatewayRevoke,
	"token issue":        tokenIssue,
	"token revoke":       tokenRevoke,
	"account invite":     accountInvite,
	"account password":   accountPassword,
	"account restore":    accountRestore,
	"warnings send":      warningsSend,
}

type adminFunc func(context.Context, *config, *directory.Service) (any, error)

func admin(ctx context.Context, c *config, stdout io.Writer, do adminFunc) error {
	if !c.has("directory") {
		return fmt.Errorf("%w: this configuration has no directory role", errUsage)
	}
	db, dir, err := openDirectory(ctx, c)
	if err != nil {
		return err
	}
	defer db.Close()
	out, err := do(audit.WithActor(ctx, operator()), c, dir)
	var half halfDone
	if err != nil && !errors.As(err, &half) {
		return err
	}
	enc := json.NewEncoder(stdout)
	enc.SetIndent("", "  ")
	return errors.Join(err, enc.Encode(out))
}

// halfDone is the error of a command that has made what it prints, and then
// failed at something less. What it made is printed all the same: a secret in
// it belongs on the standard output, never into an error, which may be logged.
type halfDone struct{ error }

func (e halfDone) Unwrap() error { return e.error }

// operator is how the audit log calls whoever runs a command here.
func operator() string {
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	return "operator:" + name + "@" + host
}

// roleFlag collects --role edp --role cap as role URLs of the scheme.
type roleFlag []string

func (r *roleFlag) String() string { return strings.Join(*r, ",") }

func (r *roleFlag) Set(s string) error {
	if _, ok := roleNames[s]; !ok {
		return errors.New("use edp, cap or fsp")
	}
	*r = append(*r, s)
	return nil
}

var roleNames = map[string]string{
	"edp": "energy-data-provider", "cap": "carbon-accounting-provider", "fsp": "financial-service-provider",
}

func (r roleFlag) urls(c *config) (out []string) {
	for _, s := range r {
		out = append(out, c.scheme.Role(roleNames[s]))
	}
	return out
}

func memberAdd(f *flag.FlagSet) adminFunc {
	var m directory.Member
	var roles roleFlag
	f.StringVar(&m.ID, "id", "", "short `id` for its URL; made when absent")
	f.StringVar(&m.LegalName, "name", "", "legal `name`")
	f.StringVar(&m.BrandName, "brand", "", "`name` the public knows")
	f.Var(&roles, "role", "edp, cap or fsp; may be repeated")
	return func(ctx context.Context, c *config, d *directory.Service) (any, error) {
		m.Roles = roles.urls(c)
		m, err := d.AddMember(ctx, m)
		return map[string]string{"id": m.ID, "url": d.MemberURL(m.ID)}, err
	}
}

func applicationAdd(f *flag.FlagSet) adminFunc {
	var a directory.Application
	var roles roleFlag
	f.StringVar(&a.Member, "member", "", "`id` of its member")
	f.StringVar(&a.ID, "id", "", "short `id` for its URL; made when absent")
	f.StringVar(&a.Name, "name", "", "`name`")
	f.Var(&roles, "role", "edp, cap or fsp, held by the member; may be repeated")
	f.StringVar(&a.MessageDelivery, "messages", "", "`URL` to which others deliver messages, such as those of withdrawals")
	return func(ctx context.Context, c *config, d *directory.Service) (any, error) {
		a.Roles = roles.urls(c)
		a, err := d.AddApplication(ctx, a)
		return map[string]string{"id": a.ID, "url": d.ApplicationURL(a.ID)}, err
	}
}

func certificateIssue(f *flag.FlagSet) adminFunc {
	app := f.String("application", "", "`id` of the application")
	kind := f.String("kind", "client", "client or signing")
	out := f.String("out", "", "`prefix` of the files PREFIX-key.pem and PREFIX-bundle.pem")
	return func(ctx context.Context, c *config, d *directory.Service) (any, error) {
		if *out == "" || (*kind != "client" && *kind != "signing") {
			return nil, fmt.Errorf("%w: give --kind client|signing and --out PREFIX", errUsage)
		}
		issue := d.IssueClient
		if *kind == "signing" {
			issue = d.IssueSigning
		}
		cert, err := issueTo(ctx, issue, *app, *out+"-key.pem", *out+"-bundle.pem")
		if err != nil {
			return nil, err
		}
		return map[string]string{"serial": cert.Leaf.SerialNumber.String(), "url": d.ApplicationURL(*app),
			"not_after": cert.Leaf.NotAfter.UTC().Format("2006-01-02T15:04:05Z"),
			"key":       *out + "-key.pem", "certificate": *out + "-bundle.pem"}, nil
	}
}

// issueTo makes a key here, has it certified, and writes both.
func issueTo(ctx context.Context, issue func(context.Context, string, []byte) (directory.Certificate, error), app, keyPath, certPath string) (directory.Certificate, error) {
	key, err := identity.NewKey()
	if err != nil {
		return directory.Certificate{}, err
	}
	csr, err := identity.NewCSR(key, app)
	if err != nil {
		return directory.Certificate{}, err
	}
	cert, err := issue(ctx, app, csr)
	if err != nil {
		return directory.Certificate{}, err
	}
	if err := os.MkdirAll(filepath.Dir(keyPath), 0o700); err != nil {
		return directory.Certificate{}, err
	}
	if err := identity.WriteKey(keyPath, key); err != nil {
		return directory.Certificate{}, err
	}
	return cert, identity.WriteFile(certPath, cert.PEM(), 0o644)
}

func certificateRevoke(f *flag.FlagSet) adminFunc {
	serial := f.String("serial", "", "serial `number`, decimal")
	return func(ctx context.Context, c *config, d *directory.Service) (any, error) {
		n, ok := new(big.Int).SetString(*serial, 10)
		if !ok {
			return nil, fmt.Errorf("%w: --serial %q is not a decimal number", errUsage, *serial)
		}
		return map[string]string{"revoked": n.String()}, d.Revoke(ctx, n)
	}
}

func tokenIssue(f *flag.FlagSet) adminFunc {
	member := f.String("member", "", "`id` of the member; none for admin")
	access := f.String("access", "owner", "reader, owner or admin")
	return func(ctx context.Context, c *config, d *directory.Service) (any, error) {
		token, err := d.IssueToken(ctx, *member, directory.Access(*access))
		return map[string]string{"token": token}, err
	}
}

func tokenRevoke(f *flag.FlagSet) adminFunc {
	id := f.String("id", "", "`id` of the token: eight digits, which audit list --action token.issue shows after token/")
	return func(ctx context.Context, c *config, d *directory.Service) (any, error) {
		if err := d.EndTokenOf(ctx, *id); err != nil {
			return nil, fmt.Errorf("--id %q: %w (perseus-central audit list --action token.issue shows the ids)", *id, err)
		}
		return map[string]string{"revoked": *id}, nil
	}
}
